"""The documents: every command in them parses, every config and key exists, lines are short."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from reenact.commands.animating import KEYS, option_of
from reenact.commands.arguments import Parser
from reenact.commands.configs import find_config
from reenact.commands.main import COMMANDS
from reenact.config import load_config
from reenact.data.prepare.run_config import PrepareRun
from reenact.evaluation.run_config import EvalRun
from reenact.inference.run_config import InferRun
from reenact.training.run_config import TrainRun
from tools.config_reference import PAGE, TABLE, known_keys, page, undocumented

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "reenact/assets/README.md"])
RUNS = {"infer": InferRun, "train": TrainRun, "eval": EvalRun, "prepare": PrepareRun}


def commands() -> list[tuple[str, str]]:
    """(page, command line) of everything in bash blocks that this package runs."""
    found = []
    for path in PAGES:
        for block in re.findall(r"```bash\n(.*?)```", path.read_text(), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    words = shlex.split(part, comments=True)
                    if ours(words) is not None:
                        found.append((path.name, shlex.join(words)))
    return found


def ours(words: list[str]) -> list[str] | None:
    """The command's name and its arguments, or None for a command of somebody else."""
    words = [word for word in words if word != "srun"]
    if not words or words[0] not in ("python", "torchrun", "diffusionact"):
        return None
    if words[0] == "diffusionact":
        return words[1:]
    for i, word in enumerate(words):
        if word in ("train.py", "infer.py", "eval.py"):
            return [word.removesuffix(".py"), *words[i + 1 :]]
        if word == "-m" and words[i + 1] == "reenact":
            return words[i + 2 :]
        if word == "-m":
            return None
    return None


@pytest.mark.parametrize(("where", "line"), commands())
def test_a_command_of_the_documents_parses(where: str, line: str):
    name, *arguments = ours(shlex.split(line)) or [""]
    assert name in COMMANDS, f"{where}: {line}"
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(name, "")
    module.add_arguments(parser)
    chosen = parser.parse_args(arguments)
    if name in RUNS and getattr(chosen, "config", None) and Path(chosen.config).name != "X.yaml":
        load_config(find_config(str(chosen.config)), RUNS[name], chosen.overrides)


def test_brackets_of_commands_are_quoted():
    """zsh, the shell of macOS, takes a bare [web] for a pattern of file names."""
    bare = [
        f"{path.name}: {line}"
        for path in PAGES
        for line in path.read_text().splitlines()
        if re.search(r"pip install [^\s\"']*\[", line) and path.name != "log.md"
    ]
    assert bare == []


def test_there_are_commands():
    assert len(commands()) > 30


def test_the_page_of_configs_is_current():
    assert undocumented() == []
    assert PAGE.read_text() == page(), "run python -m tools.config_reference"
    assert TABLE.read_text() == known_keys(), "run python -m tools.config_reference"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_lines_are_short_outside_of_tables_and_code(path: Path):
    if path.name in ("log.md", "config.md"):
        pytest.skip("the log keeps its old entries; tables make the page of configs")
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    long = [
        line for line in text.splitlines() if len(line) > 100 and not line.startswith(("|", "!"))
    ]
    assert [line for line in long if "http" not in line] == []


def test_links_between_the_pages_lead_somewhere():
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


USE_PAGE = PAGE.parent / "use.md"
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", USE_PAGE.read_text(), re.M | re.S))


@pytest.mark.parametrize("title", SECTIONS)
def test_a_feature_is_shown_with_a_command_and_a_picture(title: str):
    if title == "What the program warns of":
        return
    assert re.search(r"```bash\n(.*\n)*?(python|diffusionact) ", SECTIONS[title])
    (picture,) = re.findall(r"!\[.+?\]\((.+?)\)", SECTIONS[title])
    assert (USE_PAGE.parent / picture).is_file()


def test_the_page_of_use_names_every_option():
    missing = {option_of(key) for key in KEYS if "." not in key}
    missing -= set(re.findall(r"--[a-z0-9-]+", USE_PAGE.read_text()))
    assert missing == set()
