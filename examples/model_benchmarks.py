"""7. Models measured through the till: right answers with their intervals, and the true cost."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cobot_meter.adapters.bench_records import RecordFile
from cobot_meter.cli.tables.benchmarks import percent
from cobot_meter.cli.wording import usd
from cobot_meter.domain.benchmarks.summary import by_model, summary_of
from examples.caller import Caller, Receipt, run

MODELS = ("mistralai/mistral-small-2603", "openai/gpt-5-mini")
ITEMS = 10


def model_benchmarks(caller: Caller) -> None:
    """`cobot-meter bench run` on a key of its own: each item is a sale like any other."""
    key, _ = caller.buy_key("bench", sat=500)
    words = ("bench", "run", "--models", ",".join(MODELS), "--items", str(ITEMS), "--json")
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "COBOT_METER_PUBLIC_URL": caller.url,
            "COBOT_METER_BENCH_KEY": key,
            "COBOT_METER_DATA_DIR": folder,  # where the records are kept
        }
        command = [sys.executable, "-m", "cobot_meter", *words]
        subprocess.run(command, env=settings, stdout=subprocess.DEVNULL, check=True)
        records = RecordFile(Path(folder)).read().records
    caller.say("ran", f"cobot-meter {' '.join(words[:2])}: {ITEMS} items at each model")
    for model, own in by_model(records).items():
        found = summary_of(model, own)
        between = f"{percent(found.interval.low_ppm)} to {percent(found.interval.high_ppm)}"
        caller.say("measured", f"{model}: {found.right} of {found.judged} right ({between})")
        caller.say("", f"{usd(found.cost_pusd)} an item, p50 {found.whole.p50_ms} ms")
    sold = [
        Receipt(generation_ids=(one.generation_id,), price_msat=one.price_msat or 0)
        for one in records
    ]
    caller.receipts += sold
    caller.say("receipts", f"{len(sold)}, {sum(one.price_msat for one in sold):,} msat in all")


if __name__ == "__main__":
    run(model_benchmarks)
