"""Who works at the demo's customer."""

from __future__ import annotations

from dataclasses import dataclass

from demo.issuer import AttributeSpec


@dataclass(frozen=True)
class Person:
    """Somebody whom the demo identity provider vouches for."""

    slug: str
    first_name: str
    last_name: str
    email: str
    title: str
    about: str
    permissions: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def mailbox(self) -> str:
        """The address up to the @, after which a narrow page may break it."""
        return self.email.partition("@")[0]

    @property
    def domain(self) -> str:
        """The address after the @."""
        return self.email.partition("@")[2]

    @property
    def initials(self) -> str:
        """For the portrait that they have not uploaded."""
        return self.first_name[0] + self.last_name[0]

    @property
    def attributes(self) -> tuple[AttributeSpec, ...]:
        """What the identity provider says about them."""
        facts = {
            "First Name": self.first_name,
            "Last Name": self.last_name,
            "Email": self.email,
            "Permissions": self.permissions,
        }
        return tuple(AttributeSpec(name, (value,)) for name, value in facts.items() if value)


PEOPLE = {
    person.slug: person
    for person in (
        Person("ana", "Ana", "Lyst", "ana.lyst@customer.example", "Analyst",
               "Signs in every morning and reads the numbers.", "analyst"),
        Person("ada", "Ada", "Minter", "ada.minter@customer.example", "Administrator",
               "Looks after everybody at the customer.", "admin"),
        Person("noah", "Noah", "Newman", "noah.newman@customer.example", "New here",
               "Started today. Portico has never heard of him."),
    )
}  # fmt: skip
