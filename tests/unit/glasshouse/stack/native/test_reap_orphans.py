import subprocess
import sys
import time
from pathlib import Path

from glasshouse.stack import processes
from glasshouse.stack.native import reap_orphans

# Like supervisord: the leader of a session, whose programs lead groups of their own; one program has a worker.
_SESSION = """
import os, subprocess, sys, time
program = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); \
print('up', flush=True); time.sleep(60)"
head = subprocess.Popen([sys.executable, "-c", program], process_group=0, stdout=subprocess.PIPE)
head.stdout.readline()
print(head.pid, flush=True)
for line in sys.stdin:
    if line == "kill\\n":
        head.kill()
        head.wait()
    else:
        again = [sys.executable, "-m", "glasshouse.stack.native.reap_orphans", sys.executable, "-c", "print('again')"]
        sys.stdout.write(subprocess.run(again, process_group=0, capture_output=True, text=True).stdout)
    print("done", flush=True)
"""


def test_what_a_killed_program_left_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SESSION],
        cwd=tmp_path,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as leader:
        assert leader.stdin is not None
        assert leader.stdout is not None
        leader.stdout.readline()
        assert reap_orphans.orphans(leader.pid, tmp_path) == ()

        leader.stdin.write("kill\n")
        leader.stdin.flush()
        leader.stdout.readline()
        (worker,) = reap_orphans.orphans(leader.pid, tmp_path)

        leader.stdin.write("again\n")
        leader.stdin.flush()
        assert str(worker.pid) in leader.stdout.readline()
        assert leader.stdout.readline() == "again\n"
        deadline = time.monotonic() + 5
        while processes.find(worker.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert processes.find(worker.pid) is None
        leader.stdin.close()


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glasshouse.stack.native.reap_orphans", "/nowhere/nginx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "/nowhere/nginx cannot be run: No such file or directory\n")
