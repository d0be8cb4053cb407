# The front door. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The project's Java is 25, whatever the machine's default is.
JAVA_HOME := $(shell hack/find-jdk.sh)
export JAVA_HOME
MVN := mvn

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: jdk
jdk:
	@test -n "$(JAVA_HOME)" || { echo "make: no JDK 25 found. Install one (https://adoptium.net, package temurin-25-jdk) or set JAVA_HOME." >&2; exit 2; }

.PHONY: demo
demo: ## From nothing to a pod pulled through the mirror (CLUSTER=external: in your cluster)
	@e2e/demo.sh up

.PHONY: demo-down
demo-down: ## Stop the demo and leave nothing behind
	@e2e/demo.sh down

.PHONY: airgap
airgap: ## An empty cluster comes up from a bundle alone, by the README's five commands
	@e2e/airgap.sh down >/dev/null 2>&1 || true # what an earlier run left; mostly there is nothing
	@e2e/airgap.sh up
	@e2e/airgap.sh down

# In this order, so that what is quick to fail fails first.
.PHONY: test
test: jdk ## Every test: unit, real parts, the whole story (NO_SKIP=1: a skip is a failure)
	$(MAKE) --no-print-directory unit
	$(MAKE) --no-print-directory e2e

.PHONY: e2e
e2e: jdk ## The tests on real parts alone
	e2e/prerequisites.sh
	e2e/tools/build.sh e2e/.run/bin
	hack/manifests.sh --check
	hack/image/build.sh
	hack/cli/build.sh
	$(MVN) -DskipUnit=true -Dspotless.check.skip=true verify -Dmirror.noSkip=$(if $(NO_SKIP),true,false)

.PHONY: bench
bench: cli ## Side by side with regsync, crane and a floor (FULL=1: the sizes of the bars)
	e2e/bench/bench.sh
	e2e/bench/bundle.sh $(if $(FULL),1024 3,256 3)

.PHONY: unit
unit: jdk ## Unit tests of all rooms (fast, nothing to install)
	$(MVN) verify -DskipITs

.PHONY: format
format: jdk ## Format the Java sources
	$(MVN) -q spotless:apply

.PHONY: image
image: jdk ## Build the container image (operator/target/mirror-operator-image.tar)
	hack/image/build.sh

.PHONY: cli
cli: jdk ## Build the command line (operator/target/kubectl-mirror)
	hack/cli/build.sh

.PHONY: tools
tools: ## Build the tools of e2e/tools into the cache
	e2e/tools/build.sh e2e/.run/bin

.PHONY: manifests
manifests: jdk ## Write the CRDs from the records and config/default from the chart
	hack/manifests.sh

.PHONY: clean
clean: ## Remove what was built in this tree
	rm -rf target */target e2e/.run
