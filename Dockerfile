# syntax=docker/dockerfile:1
#
# A shop in a container: the program, and a volume for its SQLite file.
#
#   docker build --build-arg BUILD_SHA=$(git rev-parse --short HEAD) --tag boxcar .
#   docker run --read-only --publish 5150:5150 --volume boxcar:/data --env JWT_SECRET boxcar

FROM rust:1.94-slim-trixie AS build
WORKDIR /source
COPY . .
# The commit, which /metrics names.
ARG BUILD_SHA=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin boxcar-cli \
    && install target/release/boxcar-cli /usr/local/bin/

# The same Debian: the program uses its C library, and no other package.
FROM debian:trixie-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin boxcar \
    && install --directory --owner=boxcar --group=boxcar --mode=700 /data
COPY --from=build /usr/local/bin/boxcar-cli /usr/local/bin/
USER 10001:10001
WORKDIR /data
VOLUME /data
ENV LOCO_ENV=production
ENV BINDING=0.0.0.0
ENV DATABASE_URL=sqlite:///data/boxcar.sqlite?mode=rwc
EXPOSE 5150
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-5150} && printf 'GET /_readiness HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r status <&3 && [[ $status == *' 200 '* ]]"]
ENTRYPOINT ["boxcar-cli"]
CMD ["start"]
