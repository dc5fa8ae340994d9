# The churn workbook · 客户流失分析工作簿
#
#@   make report DATASET=telecom PERIOD=2025-12 DEFINITION=contract_end BY=region LANGUAGES=zh,en FORCE=1 REASON="..."
#@   make report RECIPE=branches                    RECIPE: a file reports/<name>.yml · reports/ 下的配方
#@   make diff   A=telecom/2025-11 B=telecom        two published reports · 两份已发布的报告
#@   make check  DATASET=mine                       DATASET: a folder under data/ · data/ 下的目录名
#@   make new    DATASET=mine FROM=/folder/of/files FROM: your own files · 自有数据文件所在目录
#@   make setup  PYTHON=python3.13                  the interpreter of a new environment · 新环境所用的解释器

.DEFAULT_GOAL := help
VARIABLES := DATASET PERIOD DEFINITION BY LANGUAGES RECIPE REASON FORCE FROM PYTHON A B KEEP

# A misspelt variable must not make a report of something else.
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
UNKNOWN := $(filter-out $(VARIABLES) SHELL MAKEFLAGS GNUMAKEFLAGS MFLAGS,$(GIVEN))
$(if $(UNKNOWN),$(error there is no variable $(UNKNOWN) · 没有变量 $(UNKNOWN)。 Known · 可用: $(VARIABLES)))

# A user's value is data. make would expand $( ) in it and the shell would run it, so it is taken literally here,
# travels in the environment, and is only ever quoted as "$$NAME".
$(foreach v,$(VARIABLES),$(eval override $v := $$(value $v)))
export $(VARIABLES)
option = $(if $($1),--$2="$$$1")

BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
RUN := $(BIN)/python -m
CHURN := $(RUN) churnlib
# what another Python left in the environment is not ours; without bytecode every start takes ten seconds more
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
export PYTHONNOUSERSITE := 1
export JUPYTER_PREFER_ENV_PATH := 1

help: ## list what can be made · 列出全部命令
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-13s  %s\n", $$1, $$2}' Makefile
	@echo
	@sed -n 's/^#@//p' Makefile

setup: ## make .venv from requirements.lock; all others do it by themselves · 建立运行环境（其他命令会自动完成）
	@cmp -s requirements.lock .venv/made-from.lock && test -x $(BIN)/python || { \
	    for python in "$${PYTHON:-python3}" python3 python3.13 python3.12 python3.11 python; do \
	        command -v "$$python" >/dev/null 2>&1 && exec "$$python" bootstrap.py; \
	    done; \
	    echo "Python 3.11 or newer is needed and none was found · 需要 Python 3.11 或更新版本" >&2; exit 1; }

doctor: setup ## look at the machine: packages, fonts, browser, memory, disk · 检查运行环境
	@$(CHURN) doctor

check: setup ## read the data and say what was found, no report · 只检查数据，不出报告
	@$(CHURN) check $(call option,DATASET,dataset)

new: setup ## propose a dataset.yml for your own files · 为自有数据生成 dataset.yml 草稿
	@$(CHURN) new $(call option,DATASET,dataset) $(call option,FROM,from)

# exit code 5 means "published, with warnings", which the run has printed: that is no failure of make's
REPORT = $(CHURN) report $(call option,DATASET,dataset) $(call option,PERIOD,period) \
    $(call option,DEFINITION,definition) $(call option,BY,by) $(call option,LANGUAGES,languages) \
    $(call option,RECIPE,recipe) $(call option,REASON,reason) $(if $(filter-out 0,$(FORCE)),--force)

report: setup ## the report of a data set, in both languages · 生成报告（中英文各一份）
	@$(REPORT) || test $$? -eq 5

pdf: setup ## the same, printed as PDF too (needs Chromium) · 同上，另印 PDF（需 Chromium）
	@$(REPORT) --pdf || test $$? -eq 5

diff: setup ## in what two published reports differ: A= B= · 比较两份报告：指标、历史更正、口径
	@$(CHURN) diff "$$A" "$$B"

clean-reports: setup ## keep the newest KEEP=24 periods of every report · 每种报告只保留最近 24 期
	@$(CHURN) clean $(call option,KEEP,keep)

lab: setup ## explore the notebooks in JupyterLab · 在 JupyterLab 中探索
	@$(RUN) jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/README.md \
	    $$(test "$$(id -u)" != 0 || echo --allow-root)

lint: setup ## style of code and notebooks · 代码风格检查
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

test: lint ## all that is fast: units, oracles, notebooks, browser · 全部快速测试
	@$(RUN) pytest -n auto --dist loadfile

test-all: lint ## also what is slow · 加上慢速测试
	@$(RUN) pytest -n auto --dist loadfile -m "not calibrate"

calibrate: setup ## coverage and false alarms over 2,000 simulations, slow · 校准：两千次模拟的覆盖率与误报率
	@$(RUN) pytest -n auto --dist load -m calibrate

benchmark: setup ## time and memory beside the peers, slow · 性能对比
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script" || exit; done

lock: ## write the lock files from pyproject.toml (needs uv; remove a lock to take the newest) · 更新锁定文件（需 uv）
	@uv pip compile --quiet $(LOCK_OPTIONS) --extra dev -o requirements.lock pyproject.toml
	@uv pip compile --quiet $(LOCK_OPTIONS) --no-deps --group demo -o requirements-demo.lock
LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock"

clean: ## remove what can be made again, but not reports and .venv · 清除缓存（保留报告与环境）
	@rm -rf data/*/.cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	@find churnlib tests benchmarks data notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

.PHONY: help setup doctor check new report pdf diff clean-reports lab lint test test-all calibrate benchmark lock clean
