"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import (
    acting,
    attention,
    find,
    health,
    login,
    pictures,
    pipelines,
    reports,
    sessions,
    specimen,
    today,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    login.router,
    today.router,
    sessions.router,
    find.router,
    pictures.router,
    specimen.router,
    pipelines.router,
    attention.router,
    reports.router,
    acting.router,
)
