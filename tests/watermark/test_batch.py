"""A batch with a core that does real work: what it writes, where it goes on, what it refuses."""

import fcntl
import functools
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermark.signing.errors import FileExistsRefusedError
from countermark.watermark.batch import BatchOptions, Core, Document, Summary, answers, run
from countermark.watermark.errors import BatchError, MalformedInputError
from countermark.watermark.records import (
    MAX_RECORD_BYTES,
    Record,
    content,
    read_folder,
    read_lines,
)
from support.in_processes import add_up, describe, die

HERE = BatchOptions(batch_records=3)


CORE = Core(texts=describe, ids=add_up)


def lines(*rows: object) -> bytes:
    return b"".join(
        (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows
    )


def records(data: bytes, max_bytes: int = MAX_RECORD_BYTES) -> Iterator[Record]:
    return read_lines(io.BytesIO(data), max_bytes=max_bytes)


def answered(data: bytes, options: BatchOptions = HERE, core: Core = CORE) -> list[Document]:
    return list(answers(records(data), core, options=options))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def start(data: bytes, output: Path, *, resume: bool = False, job: str = "j") -> Summary:
    return run(records(data), CORE, output, options=HERE, job=job, resume=resume)


TEN = lines(*({"text": f"text number {i}", "id": i} for i in range(10)))


def test_each_kind_of_line_is_answered_in_order_with_its_number_and_digest() -> None:
    rows = [{"text": "a\u200bb", "id": "x", "more": [1.5]}, {"ids": [1, 2]}, [3, 4], {"text": ""}]
    got = answered(lines(*rows))
    assert [row["index"] for row in got] == [0, 1, 2, 3]
    assert [row["line"] for row in got] == [1, 2, 3, 4]
    assert [row.get("id") for row in got] == ["x", None, None, None]
    assert got[0]["variants"] == ["as-is", "visible"]
    assert [row.get("sum") for row in got] == [None, 3, 7, None]
    assert got[1]["input"] == hashlib.sha256(json.dumps(rows[1]).encode()).hexdigest()


def test_blank_lines_have_a_number_but_no_answer_and_the_last_line_needs_no_end() -> None:
    got = answered(b'\n{"text":"a"}\r\n  \n[1]')
    assert [(row["index"], row["line"]) for row in got] == [(0, 2), (1, 4)]
    assert all("error" not in row for row in got)
    assert answered(b"") == []


def test_another_field_can_hold_the_text() -> None:
    options = BatchOptions(field="body")
    assert answered(lines({"body": "abc", "text": 3}), options)[0]["size"] == 3
    assert "error" in answered(lines({"text": "abc"}), options)[0]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "malformed-json"),
        (b"\xff\xfe", "malformed-json"),
        (b'{"text":"a","text":"b"}', "malformed-json"),
        (b'{"text":"\\ud800"}', "malformed-json"),
        (b"[" * 1000, "malformed-json"),
        (b"[" + b"0," * 5_000_000 + b"0]", "too-large"),
        (b'"a"', "malformed-input"),
        (b"{}", "malformed-input"),
        (b'{"text":null}', "malformed-input"),
        (b'{"text":7}', "malformed-input"),
        (b'{"text":"a","ids":[1]}', "malformed-input"),
        (b"[1,true]", "malformed-input"),
        (b"[1,2.0]", "malformed-input"),
        (b'{"ids":["1"]}', "malformed-input"),
        (b'{"text":"refuse me"}', "malformed-input"),
    ],
    ids=lambda value: repr(value[:14]),
)
def test_a_bad_record_becomes_an_error_and_its_neighbours_are_answered(
    line: bytes, code: str
) -> None:
    got = answered(lines({"text": "before"}, line, {"text": "after", "id": 1}))
    assert [row.get("size") for row in got] == [6, None, 5]
    error = got[1]["error"]
    assert isinstance(error, dict)
    assert error["code"] == code
    assert set(error) == {"code", "message"}
    assert got[1]["line"] == 2


def test_token_ids_are_an_error_where_only_texts_can_be_judged() -> None:
    got = answered(lines([1, 2], {"text": "a"}, [3]), core=Core(texts=describe))
    assert [("error" in row) for row in got] == [True, False, True]


def test_an_unusual_id_is_not_passed_on() -> None:
    got = answered(
        lines({"text": "", "id": "y" * 1025}, {"text": "", "id": [1]}, {"text": "", "id": True})
    )
    assert all("id" not in row and "error" not in row for row in got)


def test_a_line_at_the_limit_is_answered_and_one_byte_more_is_an_error() -> None:
    line = json.dumps({"text": "x" * 100}).encode()
    for limit, fine in ((len(line), True), (len(line) - 1, False)):
        got = list(answers(records(lines(line, [1]), limit), CORE, options=HERE))
        assert ("error" not in got[0]) is fine
        assert got[0]["input"] == hashlib.sha256(line).hexdigest()
        assert got[1]["sum"] == 1


def test_a_line_far_over_the_limit_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text":"a"}\n')
        file.truncate(300 * 1024 * 1024)  # A hole: a line of 300 MiB that takes no disk.
    tracemalloc.start()
    with path.open("rb") as file:
        got = [record.data for record in read_lines(file, max_bytes=1 << 20)]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got == [b'{"text":"a"}', None]
    assert peak_bytes < 8 * 1024 * 1024


@given(st.binary(max_size=200))
@example(b'{"text":"a"}\n\n[1')
@example(b'{"text":"' + b"\\u0000" * 9)
def test_any_bytes_give_an_answer_for_each_line_that_is_not_blank(data: bytes) -> None:
    got = answered(data)
    assert len(got) == sum(bool(line.strip()) for line in data.split(b"\n"))
    assert all(("error" in row) != ("variants" in row or "sum" in row) for row in got)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20), st.integers(1, 9))
def test_how_records_are_put_into_batches_changes_no_answer(texts: list[str], size: int) -> None:
    data = lines(*({"text": text} for text in texts))
    small = BatchOptions(batch_records=size, batch_bytes=40)
    assert answered(data, small) == answered(data, BatchOptions(batch_records=1000))


def test_a_folder_is_read_in_order_without_hidden_files_links_and_fifos(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name, data in {
        "c.txt": b"see",
        "a.md": "caf\u00e9".encode(),
        "b/x.txt": b"",
        "b/bad": b"\xff",
        ".git/x": b"no",
        ".hidden": b"no",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "c.txt")
    (tmp_path / "folder-link").symlink_to(tmp_path / "b")
    os.mkfifo(tmp_path / "fifo")
    got = list(answers(read_folder(tmp_path), CORE, options=HERE))
    assert [row["file"] for row in got] == ["a.md", "b/bad", "b/x.txt", "c.txt"]
    assert [row.get("size") for row in got] == [4, None, 0, 3]
    assert got[0]["input"] == hashlib.sha256("caf\u00e9".encode()).hexdigest()


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"x\xff.txt")
    try:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert [record.file for record in read_folder(tmp_path)] == ["x\\xff.txt"]


def test_a_file_over_the_limit_is_an_error_with_the_digest_of_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (record,) = read_folder(tmp_path, max_bytes=4)
    assert record.data is None
    assert record.sha256 == hashlib.sha256(b"12345").hexdigest()
    with pytest.raises(MalformedInputError):
        content(record)
    (record,) = read_folder(tmp_path, max_bytes=5)
    assert content(record).value == "12345"


def test_the_output_is_no_input_of_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    output = tmp_path / "out.jsonl"
    for resume in (False, True):
        source = read_folder(tmp_path, without=output)
        summary = run(source, CORE, output, options=HERE, job="j", resume=resume)
        assert summary == Summary(records=1, resumed=int(resume), errors=0)


def test_a_run_writes_every_answer_and_counts_what_it_did(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    told: list[int] = []
    data = lines({"text": "a"}, b"{", {"text": "b"})
    summary = run(records(data), CORE, output, options=HERE, job="k1", progress=told.append)
    assert summary == Summary(records=3, resumed=0, errors=1)
    assert told == [1, 2, 3]
    assert [row["job"] for row in read(output)] == ["k1"] * 3
    assert [{k: v for k, v in row.items() if k != "job"} for row in read(output)] == answered(data)


def test_an_output_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    start(TEN, output)
    before = output.read_bytes()
    with pytest.raises(FileExistsRefusedError) as caught:
        start(TEN, output)
    assert caught.value.code == "file-exists"
    assert output.read_bytes() == before


def test_a_run_cut_at_any_byte_is_resumed_to_the_same_output(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    start(TEN, output)
    whole = output.read_bytes()
    for cut in range(0, len(whole) + 1, 7):
        output.write_bytes(whole[:cut])
        summary = start(TEN, output, resume=True)
        assert output.read_bytes() == whole
        assert summary.resumed == whole[:cut].count(b"\n")


def test_resuming_without_an_output_starts_one_and_a_finished_one_stays(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert start(TEN, output, resume=True) == Summary(records=10, resumed=0, errors=0)
    whole = output.read_bytes()
    assert start(TEN, output, resume=True) == Summary(records=10, resumed=10, errors=0)
    assert output.read_bytes() == whole


def test_a_longer_input_with_the_same_start_is_resumed(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    start(TEN, output)
    summary = start(TEN + lines([1]), output, resume=True)
    assert summary == Summary(records=11, resumed=10, errors=0)


@pytest.mark.parametrize(
    "changed",
    [
        TEN.replace(b"number 2", b"number 7", 1),
        b"\n" + TEN,
        TEN[TEN.index(b"\n") + 1 :],
        b"",
        TEN[: TEN.index(b"\n", 300) + 1],
    ],
    ids=["another text", "another line number", "one less at the start", "nothing", "shorter"],
)
def test_changed_inputs_are_refused_and_the_output_is_left_alone(
    changed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    start(TEN, output)
    before = output.read_bytes()
    with pytest.raises(BatchError) as caught:
        start(changed, output, resume=True)
    assert caught.value.code == "batch"
    assert output.read_bytes() == before


def test_an_output_made_with_other_keys_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    start(TEN, output, job="keys 1")
    with pytest.raises(BatchError):
        start(TEN, output, job="keys 2", resume=True)


@pytest.mark.parametrize(
    "data", [b"hello\n", b"[]\n", b"{}\n", b"\x00" * 50 + b"\n", b'{"index":0}\n']
)
def test_a_file_that_is_not_our_output_is_refused_and_left_alone(
    data: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "notes.txt"
    output.write_bytes(data)
    with pytest.raises(BatchError):
        start(TEN, output, resume=True)
    assert output.read_bytes() == data


def test_two_runs_cannot_write_to_one_output(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with output.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BatchError):
            start(TEN, output, resume=True)
    assert start(TEN, output, resume=True).records == 10


def test_an_output_that_is_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BatchError):
        start(TEN, tmp_path / "fifo", resume=True)


def test_inputs_are_taken_as_answers_are_and_not_before() -> None:
    taken = 0

    def counted() -> Iterator[Record]:
        nonlocal taken
        for record in records(TEN * 10):
            taken += 1
            yield record

    stream = answers(counted(), CORE, options=BatchOptions(batch_records=5))
    next(stream)
    assert taken == 6  # One batch, and the one that showed it was full.


def test_a_core_that_forgets_an_answer_is_a_mistake_and_crashes() -> None:
    with pytest.raises(ValueError, match="shorter"):
        answered(TEN, core=Core(texts=lambda texts: describe(texts[1:])))


def test_worker_processes_give_the_same_answers_in_order() -> None:
    data = TEN + lines(b"{", [1, 2], {"text": "refuse me"}) + TEN * 5
    options = BatchOptions(processes=2, batch_records=4)
    core = Core(texts=functools.partial(describe, refused="refuse me"), ids=add_up)
    assert answered(data, options, core) == answered(data)


def test_a_worker_that_dies_is_one_error_and_what_was_done_is_kept(tmp_path: Path) -> None:
    data = TEN * 5 + lines({"text": "die"})
    output = tmp_path / "out.jsonl"
    options = BatchOptions(processes=1, batch_records=5)
    with pytest.raises(BatchError) as caught:
        run(records(data), Core(texts=die), output, options=options, job="j")
    assert "--resume" in caught.value.hint
    kept = output.read_bytes()
    assert kept.endswith(b"\n")
    summary = run(records(data), CORE, output, options=HERE, job="j", resume=True)
    assert summary.records == 51
    assert summary.resumed == kept.count(b"\n") > 0


def test_an_interrupted_run_leaves_whole_lines_and_is_resumed(tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    data = TEN * 3_000
    source.write_bytes(data)
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from countermark.watermark.batch import *\n"
        "from countermark.watermark.records import read_lines\n"
        "say = lambda texts: [{'size': len(text)} for text in texts]\n"
        "def tell(done):\n"
        "    if done == 2000: print('running', flush=True)\n"
        "    if done == 29000: time.sleep(600)  # However late the interrupt is.\n"
        "run(read_lines(open(sys.argv[1], 'rb')), Core(texts=say), Path(sys.argv[2]),\n"
        "    options=BatchOptions(), job='j', progress=tell)\n"
    )
    command = [sys.executable, "-c", script, str(source), str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"running\n"
        child.send_signal(signal.SIGINT)
    assert child.returncode == -signal.SIGINT
    done = output.read_bytes().count(b"\n")
    assert 2000 <= done < 30_000
    core = Core(texts=lambda texts: [{"size": len(text)} for text in texts])
    summary = run(records(data), core, output, options=BatchOptions(), job="j", resume=True)
    assert summary == Summary(records=30_000, resumed=done, errors=0)
    assert [row["index"] for row in read(output)] == list(range(30_000))
