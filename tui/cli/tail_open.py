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
    from hosts.host import HostReader
    from monitors.logs.opening import Connect


class EarlyModel(LogModel):
    """A model that was started before anybody shows it, and that is closed by whoever comes first, its scanner too.

    Attributes:
        host: Where the log is; None for one of this machine.
    """

    host: HostReader | None = None
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

    async def look_again(self) -> None:
        """Try the log's host now, however long it was to be left alone: a person asks for it.

        Raises:
            GatewatchError: It cannot be reached.
        """
        retry = getattr(self.host, "retry_now", None)
        try:
            if retry is not None:
                await retry()
        finally:
            self.source.watch(True)  # whoever asks sees it


async def open_early(target: Target, scanner: Scanner, asker: Asker | None = None) -> EarlyModel:
    """A model that is started.

    Args:
        target: The log.
        scanner: Who counts its lines.
        asker: Whom to ask for a password or a passphrase.

    Raises:
        GatewatchError: It cannot be opened.
    """
    hosts: list[HostReader] = []
    try:
        connect = _noting(connecting(target, lambda: _connects(asker)), hosts)
        model = EarlyModel(await open_source(target, connect), scanner=scanner)
        model.host = next(iter(hosts), None)
        await model.start()
    except BaseException:
        await scanner.close()
        raise
    return model


def _noting(connect: Connect | None, hosts: list[HostReader]) -> Connect | None:
    """The same, and what it gave is known."""
    if connect is None:
        return None
    whole = connect

    async def noted(name: str) -> HostReader:
        reader = await whole(name)
        hosts.append(reader)
        return reader

    return noted


def _connects(asker: Asker | None) -> Connects:
    from hosts.connects import Connects

    return Connects(asker=asker)
