"""The log of `gatewatch tail`, opened before anybody shows it."""

from __future__ import annotations

from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.scanning import Scanner
from tui.cli.tail_options import connecting


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


async def open_early(target: Target, scanner: Scanner) -> EarlyModel:
    """A model that is started.

    Raises:
        GatewatchError: It cannot be opened.
    """
    try:
        model = EarlyModel(await open_source(target, connecting(target)), scanner=scanner)
        await model.start()
    except BaseException:
        await scanner.close()
        raise
    return model
