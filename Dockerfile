# The backend: `docker build -t keypoint-backend .`, then `web` or `worker` as in docker-compose.yml.
#
# TORCH_INDEX is the address of a package index with a CPU build of torch, which is several gigabytes
# smaller than the CUDA build of the default index:
#   docker build --build-arg TORCH_INDEX=https://... -t keypoint-backend .
# Leave it out if the workers have a GPU.

FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=
RUN python -m venv /opt/venv
COPY requirements.txt requirements.lock ./
# Everything beside torch and its CUDA libraries by its hash, in the versions of the lock; then these, in
# one call, so that torch and torchvision fit. Their files differ between the builds for CPU and CUDA.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --disable-pip-version-check --require-hashes -r requirements.lock \
    && /opt/venv/bin/pip install --disable-pip-version-check \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 1000 backend \
    && install --directory --owner backend /data /models
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY model model
COPY backend backend
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    DATA_DIR=/data \
    TORCH_HOME=/models/torch \
    MPLCONFIGDIR=/tmp/matplotlib
USER backend
EXPOSE 9090
VOLUME ["/data", "/models"]
ENTRYPOINT ["python", "-m", "backend"]
CMD ["serve"]
