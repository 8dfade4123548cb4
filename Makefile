# What a person does here. `make` alone says so.
.PHONY: help run test conformance lint crds

help:
	@echo 'make run    what is needed to run the operator here, and the command'
	@echo 'make test   everything that this machine can prove, with a table of evidence at the end'
	@echo 'make conformance   what gateways say, real and simulated, against what is recorded (takes about 8 minutes)'
	@echo 'make lint   formatting and clippy'
	@echo 'make crds   writes crds/ from the types'

run:
	@echo 'Quartermaster needs a cluster (kubectl get namespaces answers) and an OpenClaw gateway that it can reach.'
	@echo 'Type: cargo run -- run'
	@echo 'It uses the cluster that kubectl uses; KUBECONFIG names another.'

test:
	@tests/run

conformance:
	cargo test --no-fail-fast --test real conformance:: -- --test-threads=1 --nocapture

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

crds:
	cargo run --quiet -- crds --write crds
