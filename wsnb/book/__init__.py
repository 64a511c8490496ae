"""Params, stages, runs, manifests, locks, the papermill runner, results, report."""
