"""The views of the shop."""

import attrs
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from .outside import the_connector


@attrs.frozen
class Order:
    """An order, as the CRM tells it and as this service passes it on."""

    id: str
    total: str


@require_GET
def read_order(request: HttpRequest, order: str) -> HttpResponse:
    """Read an order from the CRM."""
    crm, path = the_connector().service("crm"), {"order": order}
    found = crm.get("/orders/{order}", path_values=path, into=Order)
    return JsonResponse(attrs.asdict(found))


@csrf_exempt  # for machines, which bring no cookie
@require_POST
def remind(request: HttpRequest, order: str) -> HttpResponse:
    """Have the CRM write a reminder; twice would be once too often."""
    crm, path = the_connector().service("crm"), {"order": order}
    crm.post("/orders/{order}/reminders", path_values=path)
    return HttpResponse(status=204)
