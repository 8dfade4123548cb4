# What a person does here. `make` alone says so.
.PHONY: help run test conformance soak bench lint crds

help:
	@echo 'make run    what is needed to run the operator here, and the command'
	@echo 'make test   everything that this machine can prove, with a table of evidence at the end'
	@echo 'make conformance   what gateways say, real and simulated, against what is recorded (takes about 8 minutes)'
	@echo 'make soak   gateways are killed while agents are provisioned, ROUNDS=50 times or as often as you like'
	@echo 'make bench  the gateway client beside frames written by hand; the embedded control plane beside etcd and kube-apiserver'
	@echo '            (about 20 minutes, and a release build before them)'
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

# KILL_SEED=... plays the same moments again.
ROUNDS ?= 50
soak:
	ROUNDS=$(ROUNDS) cargo test --test kill -- --nocapture
	ROUNDS=$(ROUNDS) cargo test --test real kill:: -- --nocapture

bench:
	cargo bench --bench gateway
	cargo bench --bench control_plane

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

crds:
	cargo run --quiet -- crds --write crds
