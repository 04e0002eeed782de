.PHONY: check slow format
check:
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	python -m pytest -m "not slow"
slow:
	python -m pytest -m slow
format:
	ruff format .
	ruff check --fix .
