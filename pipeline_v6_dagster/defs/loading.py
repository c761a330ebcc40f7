"""The definitions that the modules of `defs` hold, so that a module dropped into the folder appears.

Dagster's own loaders do not fit: those that take everything of a package are in preview, `load_from_defs_folder` looks
for the project on disk, and neither can hand settings to what is loaded. The rules here:

- every public Dagster object of a module is loaded: an asset, a check, a job, a sensor, a schedule, `Definitions`;
- where the objects depend on settings, the module has a function `build(settings, clock) -> dg.Definitions`;
- a name that begins with an underscore is private to its module.
"""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import UnresolvedAssetJobDefinition

_LOADED = (
    dg.AssetsDefinition,  # Also those of checks.
    dg.AssetSpec,
    dg.Definitions,
    dg.JobDefinition,
    dg.ScheduleDefinition,
    dg.SensorDefinition,
    UnresolvedAssetJobDefinition,
)


def load_package(package: ModuleType, settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """All that the modules of `package` and of the packages in it define.

    Raises:
        Exception: whatever a module raises while it is imported: Dagster shows it as the reason why nothing loads.
    """
    found: dict[int, object] = {}
    built: list[dg.Definitions] = []
    for module in _modules(package):
        # A module may import the objects of another: each counts once.
        found.update((id(each), each) for each in _public_objects(module))
        if hasattr(module, "build"):
            built.append(module.build(settings, clock))
    return dg.Definitions.merge(_definitions(list(found.values())), *built)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for info in sorted(pkgutil.walk_packages(package.__path__, f"{package.__name__}."), key=lambda info: info.name):
        yield import_module(info.name)


def _public_objects(module: ModuleType) -> Iterator[object]:
    return (each for name, each in vars(module).items() if not name.startswith("_") and isinstance(each, _LOADED))


def _definitions(objects: list[object]) -> dg.Definitions:
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[each for each in objects if isinstance(each, dg.AssetsDefinition | dg.AssetSpec)],
            jobs=[each for each in objects if isinstance(each, dg.JobDefinition | UnresolvedAssetJobDefinition)],
            schedules=[each for each in objects if isinstance(each, dg.ScheduleDefinition)],
            sensors=[each for each in objects if isinstance(each, dg.SensorDefinition)],
        ),
        *(each for each in objects if isinstance(each, dg.Definitions)),
    )
