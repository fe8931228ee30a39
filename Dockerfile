# syntax=docker/dockerfile:1
# The image of `surety`: built with TLS to Kafka, run as a user without rights.

FROM rust:1.95.0-bookworm AS build
# The image has this toolchain; rust-toolchain.toml would fetch the parts that only linting needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --profile dist --features kafka-tls --bin surety \
    && install -D target/dist/surety /out/surety

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/surety surety \
    && install -d -o surety -g surety -m 0750 /var/lib/surety \
    && install -d /etc/surety
COPY --from=build /out/surety /usr/local/bin/surety
COPY surety.toml /etc/surety/surety.toml

# Huge pages cost more than they give (docs/performance.md).
ENV MIMALLOC_ALLOW_THP=0
# Relative paths of the configuration, such as the lake's, are below this folder.
WORKDIR /var/lib/surety
VOLUME /var/lib/surety
USER surety
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:9464/healthz"]
ENTRYPOINT ["surety", "--config", "/etc/surety/surety.toml"]
CMD ["run"]
