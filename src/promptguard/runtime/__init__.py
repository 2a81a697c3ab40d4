"""Runs the models: the only room that imports numpy, tokenizers and ONNX Runtime."""

import os

# From 1.29 on, the packages of ONNX Runtime for Linux and macOS report to Microsoft and
# keep an id in the user's home, unless this is set before they are imported. Nothing is
# to leave this machine; who has set it to something has decided otherwise.
# https://github.com/microsoft/onnxruntime/pull/27379
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
