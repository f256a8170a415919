# Two commands for a fresh machine with Python 3.11+ and make:
#   make demo   train the deblurring GAN on bundled photographs and write a report
#   make test   run the whole suite
# and three for those who change the code:
#   make check  style and types
#   make docs   the documentation as a site, in docs/_build/html; it runs the lessons
#   make weights  train the weights that are shipped
# All make a virtual environment in .venv and install into it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)
MINUTES ?= 6

.PHONY: demo test check docs weights clean

demo: $(VENV)/deblur-installed
	$(BIN)/minigan deblur train --preset small --minutes $(MINUTES) --seed 0 --out $(DEMO)
	@echo "Open $(DEMO)/report.html in a browser."

test: $(VENV)/dev-installed
	$(BIN)/python -m pytest -n 2 $(PYTEST)

check: $(VENV)/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# Lessons that have not changed keep the output that they had.
docs: $(VENV)/dev-installed
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html in a browser."

# The weights in the box, trained anew: some half an hour on two cores.
weights: $(VENV)/deblur-installed
	$(BIN)/python recipes/features.py --out minigan/deblur/weights/features.safetensors
	$(BIN)/python recipes/restorer.py --run runs/restorer --out minigan/deblur/weights/restorer.safetensors

# The extras are installed once and again only when what they consist of changes.
$(VENV)/deblur-installed: pyproject.toml setup.py | $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[deblur]'
	@touch $@

$(VENV)/dev-installed: pyproject.toml setup.py | $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(VENV):
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info
