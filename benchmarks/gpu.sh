#!/usr/bin/env bash
# Everything to measure on a GPU, in less than eight minutes on an H100: tests, then speed.
#   bash benchmarks/gpu.sh [OUT.json] [options of benchmarks.gpu, e.g. --tiny --device cpu]
# Needs Python 3.11 or newer and the packages of requirements.txt; torch 2.11 is enough.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu.json}
shift || true
echo "tests of simulated and real devices"
timeout 90 python -m pytest -q -m "not slow" tests/diffae/test_diffae_devices.py tests/test_mps.py \
  tests/diffae/test_diffae_golden_tiny.py 2>&1 | tail -3
timeout 420 python -m benchmarks.gpu --out "$out" --max-seconds 330 "$@"
