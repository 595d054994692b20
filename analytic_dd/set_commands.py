"""The commands that read a stored set: verify, show and export."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from analytic_dd import theorems
from analytic_dd.export import FORMATS
from analytic_dd.terminal import complain, print_result, reason

__all__ = ["code_of", "export", "show", "verify"]


def verify(options: argparse.Namespace) -> int:
    """Certify stored sets again (T16) and check what they claim, or check theorems: exit status 1 unless all pass."""
    from analytic_dd.judge.claims import UNKNOWABLE

    if options.theorems is not None:
        if options.files:
            raise ValueError(f"{options.files[0]} is a file, --theorems checks theorems; verify them one after another")
        return theorems.check(options.theorems, deep=options.deep, json=options.json, quiet=options.quiet)
    if not options.files or options.deep:
        wanted = "--deep is for --theorems" if options.deep else "nothing to verify"
        raise ValueError(f"{wanted}: name a distilled.npz or its folder, or give --theorems")
    found, errors = {}, []
    for file in [str(file) for path in options.files for file in _sets_in(path)]:
        try:
            found[file] = _certified(options, Path(file))
        except (ValueError, TypeError, OSError) as error:
            errors.append(reason(error) if file in reason(error) else f"{file}: {reason(error)}")
    if found:
        content = {
            file: (certificate.to_dict() if certificate else {"verdict": None})
            | ({"steps": steps} if steps else {})
            | {"false_claims": false, "not_known": UNKNOWABLE}
            for file, (certificate, false, steps) in found.items()
        }
        lines = [
            f"{file}: {line}"
            for file, (certificate, false, steps) in found.items()
            for line in (*([certificate] if certificate else []), *steps, *false)
        ]
        print_result(options, content, [*lines, f"not known: {UNKNOWABLE}"])
    for line in errors:
        complain(line, 2)
    accepted = ("pass", "inconclusive") if options.allow_inconclusive else ("pass",)
    good = all(
        certificate and certificate.verdict in accepted and not false for certificate, false, _ in found.values()
    )
    return 2 if errors else int(not good)


def _sets_in(path: Path) -> list[Path]:
    """Return a file or folder of a set as it is, and the sets of a folder of bench."""
    of_bench = path.is_dir() and not (path / "distilled.npz").exists() and (path / "sets").is_dir()
    return sorted((path / "sets").glob("*.npz")) if of_bench else [path]


def _one_set(path: Path) -> Path:
    """Return a file or folder of a set; the folder of bench has several, of which one is to be named."""
    found = _sets_in(path)
    if found != [path]:
        such = f", such as {found[0]}" if found else ""
        raise ValueError(f"{path} is a folder of bench; name one of its sets{such}")
    return path


def _certified(options: argparse.Namespace, path: Path) -> tuple[Any, list[str], list[str]]:
    """Return the worst certificate of a stored set over its ridges, what the file says of itself that is false, and in
    words how far the steps of a trajectory set are from those that are stored.
    """
    from analytic_dd.io import BenchSetError, load_distilled
    from analytic_dd.judge.claims import steps_in_words

    try:
        stored = load_distilled(path, feature_map=code_of(options, path))
    except BenchSetError:
        from analytic_dd.baselines.bench.set_file import certificate_of_set

        words, of_bench = certificate_of_set(path)
        return of_bench, [] if of_bench else [f"{words}, which names no weights: there is nothing to certify"], []
    certificate, steps = stored.certify(), stored.steps_found()
    return certificate, stored.false_claims(certificate, steps), steps_in_words(stored.meta, steps)


def code_of(given: argparse.Namespace, path: Path) -> Any:
    """Return the module of a set that the user names, with the weights that lie beside the set; or None."""
    from analytic_dd.features.modules import load_weights, module_named
    from analytic_dd.report.run import MODULE

    if given.features is None:
        return None
    kind, _, factory = given.features.partition(":")
    if kind != "network":
        raise ValueError(
            f"features={given.features!r} are stored in the set; only network:PACKAGE.MODULE:FACTORY is named"
        )
    module, weights = module_named(factory), (path if path.is_dir() else path.parent) / MODULE
    return load_weights(module, weights) if weights.exists() else module


def show(options: argparse.Namespace) -> int:
    """Certify a stored set, and draw the grid of its images and the spectra into its folder."""
    from analytic_dd.io import BenchSetError, load_distilled
    from analytic_dd.plot import draw_set
    from analytic_dd.report import write_page
    from analytic_dd.spectra import draw_spectrum

    try:
        stored = load_distilled(_one_set(options.folder), feature_map=code_of(options, options.folder))
    except BenchSetError:
        return _show_of_bench(options)
    certificate = stored.certify()
    folder = options.folder if options.folder.is_dir() else options.folder.parent
    files = [folder / name for name in (f"distilled.{options.format}", f"spectrum.{options.format}")]
    draw_set(stored, files[0])
    draw_spectrum(stored, files[1])
    if options.report == "page":
        files.append(write_page(folder, feature_map=stored.code))
    summary = {"files": [str(file) for file in files], "certificate": certificate.to_dict(), "meta": stored.meta}
    lines = [f"{stored.meta['data']['name']}, {len(stored.x)} points: {certificate}", *map(str, files)]
    print_result(options, summary, lines)
    return 0


def _show_of_bench(options: argparse.Namespace) -> int:
    """Draw a set that bench stored beside its file, which has points and labels but no weights to certify."""
    from analytic_dd.baselines.bench.set_file import load_set
    from analytic_dd.plot import draw_points

    found, facts = load_set(options.folder)
    path = options.folder.with_suffix(f".{options.format}")
    title = f"{found.method}, {len(found.x)} points, seed {found.seed}, {found.steps} steps"
    draw_points(found.x, found.y, title, path)
    print_result(options, {"files": [str(path)], "facts": facts}, [f"{title}: no weights to certify", str(path)])
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a stored set in another format, and say what its reader must know."""
    from analytic_dd.io import load_distilled

    kind = FORMATS[options.to]
    folder = options.folder if options.folder.is_dir() else options.folder.parent
    path = folder / f"exported-{kind.name}{kind.suffix}" if options.out is None else options.out
    stored = load_distilled(_one_set(options.folder), feature_map=code_of(options, options.folder))
    found = stored.export(kind.name, path)
    content = {"format": kind.name, "files": [str(file) for file in found.files], "notes": found.notes}
    files = [str(file) for file in (found.files if len(found.files) < 4 else (path,))]
    print_result(options, content, [f"{kind.name}: {', '.join(files)}", *(f"  {note}" for note in found.notes)])
    return 0
