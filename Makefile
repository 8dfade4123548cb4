# What a person does here. `make` alone says so.
.PHONY: help run test conformance soak bench lint crds

help:
	@echo 'make run    everything on this machine: a Kubernetes API, the controller, a simulated gateway, a fleet'
	@echo 'make test   everything that this machine can prove, with a table of evidence at the end'
	@echo 'make conformance   what gateways say, real and simulated, against what is recorded (takes about 8 minutes)'
	@echo 'make soak   gateways and operators are killed while agents are provisioned, and `up` while it is written to, ROUNDS=50 times or as'
	@echo '            often as you like; and STEPS=50000 random operations on the control plane and on a real kube-apiserver'
	@echo 'make bench  the gateway client beside frames written by hand; a fleet applied with kubectl beside the same by hand, and at'
	@echo '            rest; the embedded control plane beside etcd and kube-apiserver (about 45 minutes, and a release build before)'
	@echo 'make lint   formatting and clippy'
	@echo 'make crds   writes crds/ from the types'

# A debug build: it is there minutes sooner, and starts within a second all the same.
run:
	@cargo run -- up --demo

test:
	@tests/run

conformance:
	cargo test --no-fail-fast --test real conformance:: -- --test-threads=1 --nocapture

# KILL_SEED=... plays the same moments again, KUBE_SEED=... the same operations.
ROUNDS ?= 50
STEPS ?= 50000
soak:
	ROUNDS=$(ROUNDS) cargo test --test kill -- --nocapture
	ROUNDS=$(ROUNDS) cargo test --test crashes -- --nocapture
	ROTATIONS=$(ROUNDS) cargo test --test rotations -- --nocapture
	ROUNDS=$(ROUNDS) cargo test --test durable kills -- --nocapture
	ROUNDS=$(ROUNDS) cargo test --test real kill:: -- --nocapture
	ROUNDS=$(ROUNDS) cargo test --test real crashes:: -- --nocapture
	WORLD_ALL=1 cargo test --test world
	KUBE_STEPS=$(STEPS) cargo test --test real kube_conformance::random -- --nocapture

bench:
	cargo bench --bench gateway
	cargo bench --bench fleet
	cargo bench --bench control_plane

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

crds:
	cargo run --quiet -- crds --write crds
