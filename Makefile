# make book   the whole book on built-in synthetic data, ends with the report and the HTML book
# make test   all tests
# make lab    JupyterLab on the notebooks
# Everything is installed into .venv on the first call; later calls need no network.

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do "$$p" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# paths below are relative, so that the project may lie in a folder with a space in its name

.PHONY: book lessons test lab setup

# Two stages at a time: loading libraries and drawing keep one core busy at most. OMP_WAIT_POLICY: threads that wait for
# work leave the core to the other stage, and --workers 0 starts no processes that would load everything once more.
# GLIBC_TUNABLES: freed memory is kept for the next step, in large pages, instead of asking the system for it again
MALLOC := hugetlb=1 trim_threshold=4000000000 mmap_threshold=4000000000 top_pad=67108864
book: export OMP_WAIT_POLICY := passive
book: export GLIBC_TUNABLES := $(subst $() ,:,$(MALLOC:%=glibc.malloc.%))
book: setup
	$(BIN)/python -m wsnb.run.cli run --all --jobs 2 --workers 0
	$(MAKE) --no-print-directory -j 2 lessons
	$(BIN)/python -m wsnb.run.cli report

# the notebooks that belong to no paper, run again only after an edit
lessons: runs/00_start.ipynb runs/own_pictures.ipynb

runs/%.ipynb: notebooks/%.ipynb
	@mkdir -p runs
	$(BIN)/python -m papermill --no-progress-bar --log-level WARNING $< runs/.$*.ipynb
	mv runs/.$*.ipynb $@

# two files at a time: most tests wait for a command of their own, which keeps one core busy
test: setup
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# in a container one is root, and Jupyter wants that said
lab: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) notebooks

# what git sees of a notebook that JupyterLab saved: no outputs, and of the language its name alone (.gitattributes)
LAB_ADDS := codemirror_mode file_extension mimetype nbconvert_exporter pygments_lexer version
STRIP = '$(CURDIR)/$(BIN)/python' -m nbstripout --keep-id --extra-keys '$(LAB_ADDS:%=metadata.language_info.%)'

setup: .venv/installed

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "wsnb needs Python 3.11 or 3.12; install one, or call make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel
	$(BIN)/python -m pip install --quiet "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -e ".[test]"
	@if git rev-parse --git-dir >/dev/null 2>&1; then git config filter.nbstripout.clean "$(STRIP)"; fi
	touch .venv/installed
