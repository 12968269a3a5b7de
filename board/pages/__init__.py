"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import find, health, pictures, pipelines, reports, specimen, today

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    today.router,
    pipelines.router,
    reports.router,
    find.router,
    pictures.router,
    specimen.router,
)
