"""The examples of docs/protocol.md do what the page says, as they stand there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/protocol.md"
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
