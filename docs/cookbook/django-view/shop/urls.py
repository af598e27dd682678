"""Which path is which view."""

from django.urls import path

from . import views

urlpatterns = [
    path("orders/<str:order>", views.read_order),
    path("orders/<str:order>/reminders", views.remind),
]
