"""Child processes: they say why they ended, and nothing of them outlives the one who started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from imagesearch_stack import StackError
from imagesearch_stack.processes import Process, Processes, free_port, memory_bytes, require_free

# It starts a grandchild that detaches itself and ignores SIGTERM, as the worst of the servers' helpers do.
STUBBORN_FAMILY = """
import subprocess, sys, time
detached = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", detached], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
OWNER = """
import sys, time
from pathlib import Path
from imagesearch_stack.processes import Process
process = Process("family", [sys.executable, "-c", sys.argv[1]], log=Path(sys.argv[2]))
process.wait_until(lambda: process.last_line.isdigit(), within_seconds=60)
print(process.pid, process.last_line, flush=True)
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(*pids: int) -> None:
    while not all(map(is_gone, pids)):
        time.sleep(0.05)  # a test that waits for ever fails by its timeout


def start_family(log: Path) -> tuple[Process, int]:
    process = Process("family", [sys.executable, "-c", STUBBORN_FAMILY], log=log)
    process.wait_until(lambda: process.last_line.isdigit(), within_seconds=60)
    return process, int(process.last_line)


def test_stopping_a_process_leaves_no_descendant_even_if_it_detached_itself(tmp_path: Path) -> None:
    process, grandchild = start_family(tmp_path / "log")
    assert not is_gone(grandchild)
    process.stop()
    wait_until_gone(grandchild, process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans back to the guard")
def test_a_command_that_ends_by_itself_leaves_no_descendant(tmp_path: Path) -> None:
    ends = STUBBORN_FAMILY.replace("time.sleep(600)\n", "sys.exit(3)\n")
    assert ends != STUBBORN_FAMILY
    process = Process("family", [sys.executable, "-c", ends], log=tmp_path / "log")
    with pytest.raises(StackError, match="status 3"):
        process.wait()
    assert is_gone(int(process.last_line))
    process.stop()


def test_nothing_survives_when_the_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, STUBBORN_FAMILY, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        guard, grandchild = map(int, owner.stdout.readline().split())
        owner.kill()
    wait_until_gone(guard, grandchild)


def test_nothing_survives_when_the_guard_is_told_to_end(tmp_path: Path) -> None:
    process, grandchild = start_family(tmp_path / "log")
    os.kill(process.pid, signal.SIGTERM)
    wait_until_gone(grandchild)
    process.stop()


def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes() as processes:
        process = processes.add(
            Process("Kafka", [sys.executable, "-c", "print('no space left'); exit(7)"], log=tmp_path / "log")
        )
        with pytest.raises(StackError, match=r"Kafka ended unexpectedly \(status 7\)(.|\n)*no space left"):
            process.wait_until(lambda: False, within_seconds=60)
        with pytest.raises(StackError, match="Kafka ended"):
            processes.check()


def test_a_process_that_is_not_ready_in_time_is_reported(tmp_path: Path) -> None:
    with Processes() as processes:
        process = processes.add(
            Process("Kafka", [sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log")
        )
        with pytest.raises(StackError, match="Kafka was not ready within 0 s"):
            process.wait_until(lambda: False, within_seconds=0)


def test_a_process_sees_the_environment_that_it_was_given(tmp_path: Path) -> None:
    code = "import os; print(os.environ['COLOUR'], end='')"
    process = Process("env", [sys.executable, "-c", code], log=tmp_path / "log", env={"COLOUR": "green"})
    process.wait()
    process.stop()
    assert process.last_line == "green"


def test_the_last_line_of_a_progress_bar_is_what_it_showed_last(tmp_path: Path) -> None:
    code = r"print('started\n 10%\r 50%\r', end='')"
    process = Process("bar", [sys.executable, "-c", code], log=tmp_path / "log")
    process.wait()
    process.stop()
    assert process.last_line == "50%"


def test_a_port_in_use_is_refused_by_number_and_purpose() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} \(search\)"):
            require_free({"search": port, "kafka": free_port()})


def test_free_ports_are_accepted() -> None:
    require_free({"search": free_port()})


def test_memory_counts_a_process_and_its_children() -> None:
    code = "import subprocess, sys; block = bytes(64 * 2**20); print(flush=True); sys.stdin.read()"
    alone = memory_bytes(os.getpid())
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        together = memory_bytes(os.getpid())
        child.communicate()
    assert together - alone > 4 * 2**20


def test_the_memory_of_a_process_that_is_gone_is_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert memory_bytes(child.pid) == 0
