# Two commands matter: `make course` and `make test`. `make help` lists the rest.
#   make course DATASET=online-retail SEED=1 MAX_USERS=500        a real data set (RECSYS_KIT_DATA says where they are)
#   make course DATASET=clicks.csv COLUMNS='{"user_id": "uid", "item_id": "sku", "timestamp": "time", "behaviour": "=view"}'
#   make course RUN=<id>                                          go on with an interrupted run
#   make cases SEED=1 MAX_USERS=5000                              without MAX_USERS at full size: up to 100,000 users
#   make paper CARD=gfcf_gowalla                                  one published table; make papers: all, and keep the results
#   make reproduce RUN=runs/<id>
# Tested with Python 3.11 on Linux. PYTHON=/path/to/python3.11 names the interpreter if it is not on the PATH.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.PHONY: help course cases paper papers test lab outputs reproduce bench

# Handed over as environment variables: the shell then needs no quoting of JSON or of spaces.
export DATASET COLUMNS SEED MAX_USERS RUN JOBS CARD PYTHON
# Two processes run side by side on two cores: threads of their own would only wait for each other (K-Means then takes twenty times
# as long), and sums would come out in another order.
export OPENBLAS_NUM_THREADS = 1
export OMP_NUM_THREADS = 1

PY = .venv/bin/python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@sed -n '2,7s/^# */  /p' Makefile

.venv/.ready: pyproject.toml constraints.txt scripts/setup.sh
	@sh scripts/setup.sh

course: .venv/.ready ## run every chapter (DATASET=, COLUMNS=, SEED=, MAX_USERS=, RUN=, JOBS=) and say where the results are
	@$(PY) -m recsys_kit course $${DATASET:+--dataset "$$DATASET"} $${COLUMNS:+--columns "$$COLUMNS"} \
	  $${SEED:+--seed "$$SEED"} $${MAX_USERS:+--max-users "$$MAX_USERS"} $${RUN:+--run "$$RUN"} $${JOBS:+--jobs "$$JOBS"}

cases: .venv/.ready ## run the cases at full size (SEED=, MAX_USERS=, RUN=, JOBS=); ends with every claim, seconds and memory
	@$(PY) -m recsys_kit cases $${SEED:+--seed "$$SEED"} $${MAX_USERS:+--max-users "$$MAX_USERS"} \
	  $${RUN:+--run "$$RUN"} $${JOBS:+--jobs "$$JOBS"}

paper: .venv/.ready ## run one paper's card (CARD=, DATASET=, MAX_USERS=) and show its table; keeps no result
	@$(PY) -m recsys_kit paper "$${CARD:?which card? make paper CARD=name; the names are those of notebooks/papers}" \
	  $${DATASET:+-p "dataset=$$DATASET"} $${SEED:+-p "seed=$$SEED"} $${MAX_USERS:+-p "max_users=$$MAX_USERS"} $${RUN:+--run "$$RUN"}

papers: .venv/.ready ## run every paper's card on its own data (RUN=, JOBS=), keep the results and write the README's table
	@$(PY) -m recsys_kit papers $${RUN:+--run "$$RUN"} $${JOBS:+--jobs "$$JOBS"}

test: .venv/.ready ## check everything: unit tests, exercises both ways, chapters with other seeds and data, stored outputs
	@status=0; \
	$(PY) -m pytest -rfEs -n2 --dist=loadfile --doctest-modules tests recsys_kit || status=1; \
	echo "Stored outputs against fresh ones (nbval):"; \
	$(PY) -m pytest -rfEs -n2 --dist=loadfile --nbval --nbval-current-env notebooks/[0-9]*.ipynb notebooks/solutions \
	  notebooks/cases || status=1; \
	exit $$status

lab: .venv/.ready ## open JupyterLab on the chapters
	@$(PY) -m jupyter lab notebooks

outputs: .venv/.ready ## for maintainers: run chapters, solutions and cases anew and store their outputs; write the exercises
	@$(PY) -m jupyter nbconvert --to notebook --inplace --execute --ExecutePreprocessor.record_timing=False \
	  --log-level=ERROR notebooks/[0-9]*.ipynb notebooks/solutions/*.ipynb \
	  notebooks/cases/*.ipynb
	@rm -f notebooks/ledger-*.csv notebooks/claims-*.csv notebooks/*/ledger-*.csv notebooks/*/claims-*.csv
	@$(PY) -m recsys_kit exercises

reproduce: .venv/.ready ## run again from a run's manifest and show every difference (RUN=runs/<id>)
	@$(PY) -m recsys_kit reproduce "$${RUN:?which run? make reproduce RUN=runs/<id>}"

bench: .venv/.ready ## measure speed and memory (benchmarks/bench_*.py); nothing is asserted
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(PY) "$$file" || exit 1; done
