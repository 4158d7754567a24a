# The image: one static program and nothing else.
#
#   docker build .                                          compiles it, for the machine's processor
#   docker buildx build --platform linux/amd64,linux/arm64 . compiles both here, without emulation
#   docker build --build-arg BINARY=prebuilt .              takes target/oci/ARCH/bin/seedcar as it is
#
# Needs BuildKit, which leaves the stages out that nothing asks for.
ARG BINARY=compiled

FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS compiled
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) echo x86_64 ;; \
      arm64) echo aarch64 ;; \
      *) echo "no build for $TARGETARCH" >&2; exit 1 ;; \
    esac > /arch
# Another processor than this one's needs its linker and its libc.
# hadolint ignore=DL3008
RUN if [ "$(cat /arch)" != "$(uname -m)" ]; then \
      apt-get update && \
      apt-get install -y --no-install-recommends "gcc-$(sed s/_/-/ /arch)-linux-gnu" "libc6-dev-$TARGETARCH-cross" && \
      rm -rf /var/lib/apt/lists/* && \
      rustup target add "$(cat /arch)-unknown-linux-gnu"; \
    fi
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# Paths of the builder are in no message, so that the same source gives the same bytes anywhere.
RUN arch=$(cat /arch) && target=$arch-unknown-linux-gnu && \
    export RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=. --remap-path-prefix=$CARGO_HOME=cargo" && \
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc && \
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc && \
    export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc && \
    cargo build --locked --profile image --bin seedcar --target "$target" && \
    install -D -m 0555 "target/$target/image/seedcar" /rootfs/bin/seedcar && \
    find /rootfs -exec touch -d @0 {} +

FROM scratch AS prebuilt
ARG TARGETARCH
COPY target/oci/$TARGETARCH/ /rootfs/

# hadolint ignore=DL3006
FROM $BINARY AS binary

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="seedcar" \
      org.opencontainers.image.description="Keeps an application's Consul configuration in memory-backed files: always fresh, never lost, never half-written" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="seedcar" \
      org.opencontainers.image.base.name="scratch"
# As a tree, whose stamps are kept. /bin, since /seedcar is where the volume is mounted.
COPY --from=binary /rootfs/ /
# By number: the kubelet cannot check runAsNonRoot against a name.
USER 65532:65532
EXPOSE 4292
ENTRYPOINT ["/bin/seedcar"]
CMD ["run"]
