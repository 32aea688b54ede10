"""Every failure that ewval foresees.

    EwvalError
    ├── UsageError             what was asked for makes no sense
    │   └── SettingError       a value that one setting cannot have
    ├── RecipeError            a training recipe with a key or value that makes no sense
    ├── WriteError             a file that cannot be written
    │   └── DiskFullError      for want of room
    ├── ConsentError           more requests than may be made without being told to
    ├── CredentialError        token missing or refused
    │   ├── TokenMissingError
    │   └── TokenRefusedError
    ├── ServerError            the server cannot be reached, or throttles, after all retries
    │   ├── UnreachableError
    │   │   └── ProxyError         the way there leads through a proxy, which cannot be had
    │   ├── ThrottledError
    │   ├── ReplyError         it answers, but not in the form it should
    │   └── RefusedError       it will not give this, however often it is asked
    ├── DataError              data damaged or missing
    │   ├── DamagedError       a file does not hold what it should
    │   │   └── AnswersDamagedError    and holds what people answered, which nothing can make again
    │   ├── RegistryError      a list of cells without the columns of one
    │   ├── UnreadableError    a file that is there and may not or cannot be read
    │   ├── UnsupportedError   a file is whole, but not of the kind that ewval handles
    │   ├── MissingError       a task, cell, volume, file or model that is not there
    │   └── GuardError         an evaluation whose figures must not be believed
    ├── WorkerDiedError        a worker process ended without a word
    ├── DivergedError          training ran into numbers that are none
    └── UnavailableError       a device or an optional extra is not available
        ├── DeviceError
        │   └── MemoryShortError
        └── ExtraError

Classes carry fields, not prose: each sentence is written once, in `__str__`. `ewval.cli.errors` maps classes to
exit codes and says what to do next.
"""

from dataclasses import dataclass, fields, is_dataclass


class EwvalError(Exception):
    """Base of all foreseen failures."""

    @property
    def why(self) -> str:
        """What went wrong, for where it has been said what with."""
        return str(self)

    def __reduce__(self) -> tuple[type["EwvalError"], tuple[object, ...]]:
        # Exceptions are pickled by their positional arguments; ours must reach us whole from worker processes.
        values = tuple(getattr(self, field.name) for field in fields(self)) if is_dataclass(self) else self.args
        return type(self), values


@dataclass(eq=False)
class UsageError(EwvalError):
    """Something that was asked for makes no sense."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass(eq=False)
class SettingError(UsageError):
    """A value that one setting cannot have: its name in Python, and how the sentence about it goes on."""

    setting: str = ""

    def __str__(self) -> str:
        return f"{self.setting} {self.problem}"


@dataclass(eq=False)
class RecipeError(EwvalError):
    """A training recipe cannot be used; `key` is such as "optimizer.clip", or empty where all of the file is meant."""

    recipe: str
    key: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"recipe {self.recipe}", self.key, self.problem) if part)


@dataclass(eq=False)
class WriteError(EwvalError):
    """A file that cannot be written: no permission, a read-only file system, something in its way."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"cannot write {self.path}: {self.reason}"


@dataclass(eq=False)
class DiskFullError(WriteError):
    """There is no room for a file, on the disk or in the quota; `place` is the top of its file system."""

    place: str

    def __str__(self) -> str:
        return f"cannot write {self.path}: {self.reason}; free some room in {self.place}"


@dataclass(eq=False)
class ConsentError(EwvalError):
    """A fetch of so many requests has to be agreed to."""

    requests: int

    def __str__(self) -> str:
        return f"this takes about {self.requests:,} requests to Eyewire"


class CredentialError(EwvalError):
    """The token is missing or refused."""


class TokenMissingError(CredentialError):
    """No token is set, and the server wants one."""

    def __str__(self) -> str:
        return "no Eyewire token is set"


@dataclass(eq=False)
class TokenRefusedError(CredentialError):
    """The server answered 401 or 403; `url` is without the token."""

    url: str
    status: int

    def __str__(self) -> str:
        return f"the token was refused ({self.status}) by {self.url}"


class ServerError(EwvalError):
    """The server did not give an answer that can be used."""


@dataclass(eq=False)
class UnreachableError(ServerError):
    """No connection, or only server errors, after all retries; `url` is without the token."""

    url: str
    reason: str

    def __str__(self) -> str:
        return f"cannot reach {self.url}: {self.reason}"


@dataclass(eq=False)
class ProxyError(UnreachableError):
    """The proxy that the environment names cannot be had; `proxy` is without its login."""

    proxy: str

    def __str__(self) -> str:
        return f"cannot reach {self.url} through the proxy {self.proxy}: {self.reason}"


@dataclass(eq=False)
class SchedulerError(ServerError):
    """No Dask scheduler answers at `address`."""

    address: str
    reason: str

    def __str__(self) -> str:
        return f"no Dask scheduler answers at {self.address}: {self.reason}"


@dataclass(eq=False)
class ThrottledError(ServerError):
    """The server kept answering 429 or 503; `url` is without the token."""

    url: str

    def __str__(self) -> str:
        return f"the server keeps throttling: {self.url}"


@dataclass(eq=False)
class ReplyError(ServerError):
    """A reply that is not in the form it should be; `url` is without the token."""

    url: str
    problem: str

    def __str__(self) -> str:
        return f"unexpected reply from {self.url}: {self.problem}"


@dataclass(eq=False)
class RefusedError(ServerError):
    """A reply that asking again would not change; `url` is without the token, `status` what it answered."""

    url: str
    problem: str
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.url} cannot be fetched: {self.problem}"


class DataError(EwvalError):
    """Data damaged or missing."""


@dataclass(eq=False)
class DamagedError(DataError):
    """A file, stream or volume that does not hold what it should."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what} is damaged: {self.problem}"


class AnswersDamagedError(DamagedError):
    """The file of what people answered does not hold what it should; no command can make it again."""


@dataclass(eq=False)
class RegistryError(DataError):
    """A list of cells that is none; `path` is the file's."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"registry {self.path} cannot be read: {self.problem}"


@dataclass(eq=False)
class UnreadableError(DataError):
    """Something that is there and cannot be read: no permission, a folder in its place, a disk that fails."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what} cannot be read: {self.reason}"


@dataclass(eq=False)
class UnsupportedError(DataError):
    """Data that is whole, but of another kind than 256^3 volumes of the mouse data set."""

    what: str
    problem: str

    def __str__(self) -> str:
        return f"{self.what} cannot be used: {self.problem}"


@dataclass(eq=False)
class MissingError(DataError):
    """Something that is not there, such as "task 12" or "model mine"; `hint` says how to get it."""

    what: str
    hint: str = ""

    @property
    def why(self) -> str:
        """Why it is not there."""
        return self.hint or "not found"

    def __str__(self) -> str:
        return f"{self.what} not found" + (f"; {self.hint}" if self.hint else "")


@dataclass(eq=False)
class GuardError(DataError):
    """A guard of an evaluation failed: its figures must not be believed."""

    guard: str
    reason: str

    def __str__(self) -> str:
        return f"guard {self.guard} failed: {self.reason}"


@dataclass(eq=False)
class DivergedError(EwvalError):
    """Training reached a loss or gradient that is not a finite number."""

    step: int
    problem: str

    def __str__(self) -> str:
        return f"training diverged at step {self.step}: {self.problem}"


class WorkerDiedError(EwvalError):
    """The process that worked on something ended without a word, most often for want of memory."""

    def __str__(self) -> str:
        return "its worker process died, perhaps for want of memory"


class UnavailableError(EwvalError):
    """A device or an optional extra is not available here."""


@dataclass(eq=False)
class DeviceError(UnavailableError):
    """The device asked for is not there, or too small."""

    device: str
    problem: str

    def __str__(self) -> str:
        return f"device {self.device} is not available: {self.problem}"


@dataclass(eq=False)
class MemoryShortError(DeviceError):
    """The device has too little memory for `problem`."""

    def __str__(self) -> str:
        return f"device {self.device} ran out of memory: {self.problem}"


@dataclass(eq=False)
class ExtraError(UnavailableError):
    """An optional package is not installed."""

    extra: str
    package: str

    def __str__(self) -> str:
        return f"{self.package} is not installed (extra '{self.extra}')"
