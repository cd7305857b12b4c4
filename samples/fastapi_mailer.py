"""A contact form with one mailer for the app's life: `uvicorn fastapi_mailer:app`."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI, Request, responses

from mailoauth import AsyncMailer, errors

STATUS = {errors.Throttled: 503, errors.ConnectionFailed: 503, errors.ConfigError: 422}
Field = Annotated[str, Body()]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncMailer]]:
    async with AsyncMailer(os.environ["MAILOAUTH_ADDRESS"], deadline=20) as mailer:
        yield {"mailer": mailer}


app = FastAPI(lifespan=lifespan)


@app.post("/contact", status_code=202)
async def contact(request: Request, email: Field, text: Field) -> dict[str, str]:
    mailer: AsyncMailer = request.state.mailer  # to ourselves: strangers name no recipients
    receipt = await mailer.send(to=mailer.address, reply_to=email, subject="Contact", text=text)
    return {"message_id": receipt.message_id}


@app.exception_handler(errors.MailOAuthError)
async def explain(_: Request, error: errors.MailOAuthError) -> responses.JSONResponse:
    logging.getLogger("uvicorn.error").error("%s", error)  # the text is not for strangers
    code = next((STATUS[kind] for kind in STATUS if isinstance(error, kind)), 502)
    wait = round(getattr(error, "retry_after", None) or 30)
    headers = {"Retry-After": str(wait)} if code == STATUS[errors.Throttled] else {}
    return responses.JSONResponse({"error": type(error).__name__}, code, headers)
