# The image of entrepot: docs/deployment/docker.md.
#
#   docker build -t entrepot .
#   docker run -d -p 5000:5000 -v entrepot:/data entrepot
#
# Another base: --build-arg RUNTIME_IMAGE=docker.io/library/debian:13-slim. It needs glibc and
# libstdc++, and no shell. Certificates of public authorities and time zones are part of Node.
ARG NODE_IMAGE=docker.io/library/node:26-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# Runs on the machine that builds, whatever the image is for: nothing of the other platform is executed.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /build
# Only a change of these installs again.
COPY package.json package-lock.json ./
# Any Node from 20 installs. The pinned one comes as a package, and bundles the program.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

ARG TARGETARCH
WORKDIR /target
# npm lists development tools as missing unless they are taken out of package.json first.
RUN set -eu; \
    case "$TARGETARCH" in \
      amd64) cpu=x64 ;; \
      arm64) cpu=arm64 ;; \
      *) echo "There is no pinned Node for linux/$TARGETARCH: build for linux/amd64 or linux/arm64." >&2; exit 1 ;; \
    esac; \
    installed=/build; \
    if [ ! -d "/build/node_modules/node-linux-$cpu" ]; then \
      cp /build/package.json /build/package-lock.json .; \
      npm ci --omit=dev --ignore-scripts --no-audit --no-fund --os=linux --cpu="$cpu"; \
      installed=/target; \
    fi; \
    mkdir -p /image/usr/local/bin /image/usr/share/sbom /image/usr/share/licenses/node; \
    install -d -m 0700 /image/volume/data; \
    cp "$installed/node_modules/node-linux-$cpu/bin/node" /image/usr/local/bin/node; \
    cp "$installed/node_modules/node-linux-$cpu/LICENSE" /image/usr/share/licenses/node/LICENSE; \
    cd "$installed"; \
    npm pkg delete devDependencies; \
    npm sbom --omit=dev --sbom-format=cyclonedx > /image/usr/share/sbom/entrepot.cdx.json

WORKDIR /build
COPY . .
# The commit, for `entrepot --version` and the label.
ARG REVISION
RUN set -eu; \
    REVISION="$REVISION" sh bin/pinned-node scripts/package.ts; \
    mkdir -p /image/opt/entrepot; \
    cp -r dist/lib dist/package.json dist/build.json dist/LICENSE dist/THIRD-PARTY-LICENSES /image/opt/entrepot/; \
    install -m 0755 deploy/docker/entrepot /image/usr/local/bin/entrepot

# Of the platform that the image is for, which older buildah takes from the first stage unless it is told. Nothing is run here.
FROM --platform=$TARGETPLATFORM ${NODE_IMAGE} AS libraries

FROM --platform=$TARGETPLATFORM ${RUNTIME_IMAGE}
ARG RUNTIME_IMAGE
ARG REVISION
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="entrepot" \
      org.opencontainers.image.description="A pull-through mirror for every container registry, on one port" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
# Node needs it, and small bases lack it.
COPY --from=libraries /usr/lib/*-linux-gnu/libatomic.so.1 /usr/lib/
COPY --from=build /image/opt /opt
COPY --from=build /image/usr /usr
# A new volume gets its owner from this directory.
COPY --from=build --chown=65532:65532 /image/volume /
# A configuration is /etc/entrepot/entrepot.yaml, and none is needed. PORT listens on that port of every address, unless the
# configuration has `listen`; the default of `cache.dir`, ./data, is the volume.
WORKDIR /
ENV PORT=5000
EXPOSE 5000
VOLUME /data
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["entrepot", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/entrepot"]
CMD ["serve"]
