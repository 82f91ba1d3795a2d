"""Decoding in processes of its own: no picture takes more time or memory than it is given, or takes its caller down.

The caps of `decode` hold for what a header admits. This holds for the rest: a decoder that hangs, eats memory or
crashes on some bytes costs that picture and one process, and the pictures beside it notice nothing.

Each process has a socket of its own and nothing else in common with the others, so that it may die at any moment, in
the middle of its answer too. Nothing that comes back is unpickled: it comes from where hostile bytes were at work.
The embedder and the encoder service call it; `python -m imagesearch_fetcher.decoders` is the process.
"""

import json
import pickle
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from imagesearch_contract.dead_letter import Reason
from PIL import Image

from imagesearch_fetcher.errors import DecodeError

__all__ = ["Decode", "Submit", "decoders"]

Decode = Callable[[bytes], Image.Image]
Submit = Callable[[bytes], "Future[Image.Image]"]
"""Start decoding; the future gives an RGB picture or raises `DecodeError`."""

SECONDS: Final = 10.0
"""For one picture. A large photograph takes a tenth of one."""
MEMORY_BYTES: Final = 2**30
"""For one picture, on top of what the idle process has. The worst that `decode` lets in, 40 million pixels with
transparency and on their side, take 770 MB."""
PICTURES: Final = 10_000
"""A process is replaced after so many, so that what its libraries may leak stays small."""

_PICTURE, _REFUSED = b"P", b"R"
_SIZE: Final = struct.Struct("<II")


@contextmanager
def decoders(
    decode: Decode,
    *,
    workers: int,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    pictures: int = PICTURES,
) -> Iterator[Submit]:
    """Processes that decode, for as long as they are needed; they start at once, and end with the caller in any case.

    Args:
        decode: is sent to the processes by pickle, as in `partial(decode, max_pixels=..., min_side=...)`.
        workers: how many processes.
        seconds: for one picture, by the clock.
        memory_bytes: for one picture; where the kernel has no such limit (macOS), there is none.
        pictures: a process is replaced after so many.

    Yields:
        What starts the decoding of one picture. Its `DecodeError` is what `decode` raised, or DECOMPRESSION_BOMB where
        the picture took too much or its process died of it.
    """
    idle: SimpleQueue[_Decoder] = SimpleQueue()
    every = [_Decoder(decode, seconds, memory_bytes, pictures) for _ in range(workers)]
    for each in every:
        idle.put(each)

    def decode_one(data: bytes) -> Image.Image:
        decoder = idle.get()
        try:
            return decoder.decode(data)
        finally:
            idle.put(decoder)

    threads = ThreadPoolExecutor(workers, thread_name_prefix="decoder")
    try:
        yield lambda data: threads.submit(decode_one, data)
    finally:
        threads.shutdown(cancel_futures=True)
        for each in every:
            each.stop()


class _Decoder:
    """One process after the other; each decodes one picture at a time."""

    def __init__(self, decode: Decode, seconds: float, memory_bytes: int, pictures: int) -> None:
        self._orders = pickle.dumps((decode, seconds, memory_bytes))
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._pictures = pictures
        self._start()

    def decode(self, data: bytes) -> Image.Image:
        if self._left == 0:
            self._restart()
        for _ in range(2):  # once more: the process may have died of something else, such as a neighbour's memory
            self._wait_until_ready()
            try:
                self._pipe.send_bytes(data)
                answer = self._pipe.recv_bytes(self._memory_bytes)
            except (EOFError, OSError):
                died = self._restart()
                if died == -signal.SIGALRM:
                    raise DecodeError(Reason.DECOMPRESSION_BOMB, f"takes longer than {self._seconds:g} s") from None
            else:
                self._left -= 1
                return _read(answer)
        raise DecodeError(Reason.DECOMPRESSION_BOMB, f"its decoder died, twice ({_cause(died)})")

    def stop(self) -> int:
        """End the process; return its exit status."""
        self._pipe.close()
        self._process.kill()
        return self._process.wait()

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  this interpreter and this module
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # a Ctrl-C is for the caller
            )
        self._ready = False
        self._left = self._pictures

    def _restart(self) -> int:
        self._pipe.close()
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            status = self.stop()
        self._start()
        return status

    def _wait_until_ready(self) -> None:
        """Raises `RuntimeError` where the process cannot even start: no picture is to blame."""
        if self._ready:
            return
        try:
            self._pipe.send_bytes(self._orders)
            self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise RuntimeError(
                f"a decoder does not start ({_cause(self._restart())}); see its standard error"
            ) from error
        self._ready = True


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _read(answer: bytes) -> Image.Image:
    kind, body = answer[:1], memoryview(answer)[1:]
    if kind == _REFUSED:
        reason, detail = json.loads(bytes(body))
        raise DecodeError(Reason(reason), detail)
    return Image.frombytes("RGB", _SIZE.unpack_from(body), body[_SIZE.size :])


def _answer(decode: Decode, data: bytes) -> bytes:
    try:
        image = decode(data)
        return b"".join((_PICTURE, _SIZE.pack(*image.size), image.tobytes()))
    except DecodeError as error:
        refused = error.reason, error.detail
    except MemoryError:
        refused = Reason.DECOMPRESSION_BOMB, "needs more memory than a picture is given"
    return _REFUSED + json.dumps(refused).encode()


def _serve(pipe: Connection) -> None:
    """Decode what comes until the other end is closed."""
    decode, seconds, memory_bytes = pickle.loads(pipe.recv_bytes())  # noqa: S301  from the process that started this one
    _cap_memory(memory_bytes)
    pipe.send_bytes(b"")
    while True:
        data = pipe.recv_bytes()
        signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles the signal, so it ends even a loop in C
        answer = _answer(decode, data)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send_bytes(answer)


def _cap_memory(allowance: int) -> None:
    """Let allocations fail beyond what the process has now and so many bytes more."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        limit = int(statm.read_text().split()[0]) * resource.getpagesize() + allowance
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    with suppress(
        EOFError, BrokenPipeError, ConnectionResetError
    ):  # the caller has gone, or needs this process no more
        _serve(Connection(int(sys.argv[1])))
