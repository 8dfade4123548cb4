# docker build -t REGISTRY/quartermaster:0.1.0 .
#
# The compiler is the one of rust-toolchain.toml (tests/deploy.rs compares). Both stages are the same Debian, so that the
# program finds the C library that it was linked with.
FROM rust:1.95.0-bookworm AS build
WORKDIR /quartermaster
COPY Cargo.toml Cargo.lock ./
COPY src src
# Parts of the program: the agents' documents, and what `up --demo` applies.
COPY templates templates
COPY examples examples
RUN cargo build --release --locked --bin quartermaster

# Nothing but the C library, authorities for TLS, and the program: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /quartermaster/target/release/quartermaster /quartermaster
# As a number: Kubernetes cannot tell that a name is not root.
USER 65532:65532
EXPOSE 9471
ENTRYPOINT ["/quartermaster"]
CMD ["run"]
