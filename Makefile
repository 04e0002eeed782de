# Tests start other programs. Threads that wait for each other sleep, and leave the processor to them.
export OMP_WAIT_POLICY = PASSIVE
export KMP_BLOCKTIME = 0

.PHONY: check slow browser format
check:
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not slow and not browser"
slow:
	python -m pytest -m slow
browser:
	python -m pytest -m browser
format:
	ruff format .
	ruff check --fix .
