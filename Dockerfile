# The command line: docker build -t promptguard . && docker run --rm promptguard check "..."
#
# It needs no network when it runs, writes nothing, and is nobody's root.
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim AS cli
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir /wheels/*.whl \
    && rm -r /wheels \
    && useradd --system --uid 10001 --no-create-home promptguard
USER 10001
WORKDIR /work
ENTRYPOINT ["promptguard"]
CMD ["--help"]
