# One image for the API server and every Lambda function. It takes what was built beside it, so that building the
# image needs no toolchain and what runs is what was tested; build on Debian bookworm, as glibc must match:
#   cargo xtask build --release && docker build --tag gantry .
# A function's ImageConfig.Command names its step (`inspect`); the server runs with `--entrypoint server`.
FROM docker.io/library/debian:bookworm-slim

# The newest ffmpeg of the distribution, with its security fixes; the image's digest pins it.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends --yes ca-certificates ffmpeg \
 && rm -rf /var/lib/apt/lists/*

COPY target/site /usr/local/share/gantry/site
COPY target/release/server /usr/local/bin/server
# Last, as it changes most: a new worker is one small layer.
COPY target/worker/worker /usr/local/bin/worker

ENV GANTRY_SITE_ROOT=/usr/local/share/gantry/site
# nobody. Lambda runs functions as a user of its own; anywhere else this is who the programs are.
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/worker"]
