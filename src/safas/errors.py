"""What can go wrong, as one tree. Every message is one line: what, where, and what to do.

SafasError                 the command line prints it and exits with code 2
├── InputError             a path, a folder or a setting given by the user is wrong
│   ├── TableError         a table lacks a column or holds a value that it must not
│   └── RunError           a folder is no run's, or lacks something of it, or that is damaged
├── ProtocolError          the protocol and the data do not fit each other
├── MetricError            a rate is not defined on these scores (a class is absent, a score is not finite)
├── MediaError             one video or image cannot be read (preparation lists it and goes on)
├── BundleError            an exported model is incomplete, was changed, or is of another version or key
└── TrainingError          training cannot go on (a checkpoint that does not fit)
    └── DivergenceError    a loss or a feature is no longer finite
"""


class SafasError(Exception):
    """A user's error: `what` is wrong, `where` (file, field, domain ...), and the `remedy`."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        located = f"{where}: {what}" if where else what
        super().__init__(" ".join((f"{located}. {remedy}" if remedy else located).split()))


class InputError(SafasError):
    """A path, a folder or a setting given by the user is wrong."""


class TableError(InputError):
    """A table lacks a column or holds a value that it must not."""


class RunError(InputError):
    """A folder is no run's, or lacks something of it, or that is damaged."""


class ProtocolError(SafasError):
    """The protocol and the data do not fit each other."""


class MetricError(SafasError, ValueError):
    """A rate is not defined on these scores; a ValueError too, for those who use the metrics alone."""


class MediaError(SafasError):
    """One video or image cannot be read."""


class BundleError(SafasError):
    """An exported model is incomplete, was changed, or is of another version or key."""


class TrainingError(SafasError):
    """Training cannot go on."""


class DivergenceError(TrainingError):
    """A loss or a feature is no longer finite: with these settings the run has no result."""
