"""The pages, a file each; who adds one names its router here."""

from fastapi import APIRouter

from board.pages import health, login, pipelines, reports, today

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    login.router,
    today.router,
    pipelines.router,
    reports.router,
)
