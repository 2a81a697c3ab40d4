"""The whole pipeline in small: the same stages on a world made for the purpose."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .config import Adapt, Augment, Config, Gate, Vocabulary
from .testing.decoder import write_decoder
from .testing.encoder import POSITIONS
from .testing.tasks import LEARNT, write_task
from .testing.world import write_world

__all__ = ["BUILD", "smoke"]

BUILD = "build/smoke"
# The share of the rows that are made: of the world as of what the release is made from.
_SHARE = 0.01


def smoke(config: Config, build: str | None = None) -> Config:
    """The configuration with everything cut, reading and writing in one folder.

    It needs no data folder, no encoder and no network, and it changes nothing outside
    the folder: the bundle is released into it, and published to a database in it.
    ``PROMPTGUARD_HUB`` is taken out of the environment, so that nothing is uploaded.

    Args:
        build: The folder; by default ``build/smoke``.
    """
    os.environ.pop("PROMPTGUARD_HUB", None)
    folder = Path(build or BUILD).absolute()
    world = write_world(folder / "world")
    encoder, sources = world / "encoder", world / "sources.toml"
    if config.task:
        sources = write_task(world, config)
        if config.task.model == "decoder":
            encoder = world / "decoder"
            write_decoder(encoder, LEARNT)
    return replace(
        config,
        name=f"{config.name}-smoke",
        data_root=str(world),
        encoder=str(encoder),
        start="",
        build=str(folder),
        release=str(folder / "release"),
        data=replace(
            config.data,
            sources=str(sources),
            # Long texts are several windows here as well.
            window=POSITIONS // 2,
            overlap=POSITIONS // 8,
            held_out=0.2,
        ),
        **_adapted(config),
        augment=_less(config.augment),
        names=replace(
            config.names, table=str(world / "names.toml"), made=config.names.made // 100
        ),
        train=replace(
            config.train,
            epochs=3,
            batch=16,
            early=min(config.train.early, 1),
            frozen=False,
            # Weights that know nothing have a longer way to go.
            rate=2e-3,
            head_rate=1e-2,
            checkpoint_every=10,
            # Steps this small are done before a second thread has been told of them.
            threads=1,
            validate_every=60,
            validation_rows=20,
        ),
        calibrate=replace(config.calibrate, least=5, most=40),
        evaluate=replace(
            config.evaluate,
            disguised=2,
            long=200,
            lengths=(100,),
            compared=100,
            timed=2,
        ),
        # What a model of this size reaches says nothing about the release.
        gate=Gate(compare=config.gate.compare if config.task else Gate.compare),
        publish=replace(
            config.publish, tracking=f"sqlite:///{folder.as_posix()}/mlflow.db", hub=""
        ),
    )


def _adapted(config: Config) -> dict[str, Any]:
    if config.task:
        # The texts that the world has in other languages are not of its sources.
        return {"vocabulary": Vocabulary(), "adapt": Adapt()}
    vocabulary = replace(
        config.vocabulary, pieces=16, texts=("documents", "german", "translated")
    )
    adapt = replace(
        config.adapt,
        steps=min(config.adapt.steps, 12),
        batch=4,
        tokens=24,
        pairs=("translated",),
        checkpoint_every=5,
        threads=1,
    )
    return {"vocabulary": vocabulary, "adapt": adapt}


def _less(settings: Augment) -> Augment:
    return Augment(
        **{
            name: max(1, int(value * _SHARE)) if value > 0 else value
            for name, value in asdict(settings).items()
        }
    )
