"""The log of `gatewatch tail`, opened before anybody shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.scanning import Scanner
from tui.cli.tail_options import connecting

if TYPE_CHECKING:
    from hosts.connects import Asker, Connects


class EarlyModel(LogModel):
    """A model that was started before anybody shows it, and that is closed by whoever comes first, its scanner too."""

    _started = _closed = False

    async def start(self) -> None:
        if not self._started:
            self._started = True
            await super().start()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await super().close()
            if self._scanner is not None:
                await self._scanner.close()


async def open_early(target: Target, scanner: Scanner, asker: Asker | None = None) -> EarlyModel:
    """A model that is started.

    Args:
        target: The log.
        scanner: Who counts its lines.
        asker: Whom to ask for a password or a passphrase.

    Raises:
        GatewatchError: It cannot be opened.
    """
    try:
        model = EarlyModel(await open_source(target, connecting(target, lambda: _connects(asker))), scanner=scanner)
        await model.start()
    except BaseException:
        await scanner.close()
        raise
    return model


def _connects(asker: Asker | None) -> Connects:
    from hosts.connects import Connects

    return Connects(asker=asker)
