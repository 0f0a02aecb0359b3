"""The examples of docs/protocol.md and README.md do what the pages say, as they stand there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/protocol.md"
BLOCK = re.compile(r"<!-- tested: (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)


def examples():
    return dict(BLOCK.findall(PAGE.read_text()))


def program(language, code, folder):
    """The command that runs `code`."""
    source = folder / {"python": "bot.py", "node": "bot.cjs", "rust": "bot.rs"}[language]
    source.write_text(code)
    if language == "python":
        return [sys.executable, source]
    if language == "node":
        return ["node", source]
    binary = folder / "bot"
    subprocess.run(["rustc", "--edition", "2024", "-o", binary, source], check=True, timeout=120)
    return [binary]


def test_every_example_is_tested():
    fences = PAGE.read_text().split("## Five lines")[1].split("\n## ")[0].count("```") // 2
    assert sorted(examples()) == ["node", "python", "rust"]
    assert fences == 3


@pytest.mark.parametrize("language", ["python", "node", "rust"])
def test_an_example_gets_its_order_signed(language, tmp_path, sign_socket, bybit):
    command = program(language, examples()[language], tmp_path)
    done = subprocess.run([*command, sign_socket, bybit.bot], capture_output=True, text=True, timeout=20, check=True)
    reply = json.loads(done.stdout)
    assert reply["status"] == "approved", reply
    assert reply["request"]["method"] == "POST"
    assert reply["request"]["url"].endswith("/v5/order/create")
    order = json.loads(reply["request"]["body"])
    assert (order["qty"], order["price"], order["timeInForce"]) == ("0.001", "50000", "PostOnly")


def readme_block(beginning):
    """The one Python block of the README that begins so."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return block


def test_the_readmes_ccxt_bot_rests_one_order_and_is_denied_the_other(bybit, tmp_path):
    code = readme_block("import ccxt")
    assert code.count('"http://127.0.0.1:7811"') == 1 and code.count('"..."') == 2
    code = code.replace("http://127.0.0.1:7811", bybit.url)
    code = code.replace('"..."', repr(bybit.key), 1).replace('"..."', repr(bybit.secret), 1)
    *before, rests, denied = code.rstrip().splitlines()
    source = tmp_path / "bot.py"
    source.write_text("\n".join([
        *before,
        rests,
        "try:",
        f"    {denied}",
        "except ccxt.InvalidOrder as refusal:",
        "    print(refusal)",
        'for order in exchange.fetch_open_orders("BTC/USDT:USDT"):',
        '    print(order["price"])',
        '    exchange.cancel_order(order["id"], order["symbol"])',
    ]))
    done = subprocess.run([sys.executable, source], capture_output=True, text=True, timeout=60, check=True)
    refusal, price = done.stdout.splitlines()
    assert "seawall denied: " in refusal and "exceeds" in refusal
    assert price == "50000.0"


def test_the_readmes_raw_bot_is_denied_with_every_reason(bybit, sign_socket, tmp_path):
    code = readme_block("import json, socket")
    assert code.count('"..."') == 1 and code.count('"mybot"') == 1
    source = tmp_path / "bot.py"
    source.write_text(code.replace('"..."', repr(sign_socket)).replace('"mybot"', repr(bybit.bot)))
    done = subprocess.run([sys.executable, source], capture_output=True, text=True, timeout=20, check=True)
    reply = json.loads(done.stdout)
    assert reply["status"] == "denied"
    assert all("exceed" in denial["text"] or denial["code"] == "maker_only" for denial in reply["denials"])
