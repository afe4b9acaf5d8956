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
    groups: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    # The same person at another time stands on the portal under another name.
    when: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def shown_as(self) -> str:
        """What the portal calls them: the name, and when that is, where there are two to choose from."""
        return f"{self.name}, {self.when}" if self.when else self.name

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
            "First Name": (self.first_name,),
            "Last Name": (self.last_name,),
            "Email": (self.email,),
            "Permissions": (self.permissions,) if self.permissions else (),
            "Groups": self.groups,
            "Properties": self.properties,
            "Roles": self.roles,
        }
        return tuple(AttributeSpec(name, values) for name, values in facts.items() if values)


PEOPLE = {
    person.slug: person
    for person in (
        Person("ana", "Ana", "Lyst", "ana.lyst@customer.example", "Analyst",
               "Signs in every morning and reads the numbers.", "dxa_analyst",
               groups=("northwind-staff",), properties=("3868", "25541"), roles=("Report editor",)),
        Person("ada", "Ada", "Minter", "ada.minter@customer.example", "Administrator",
               "Looks after everybody at the customer, and claims to be a super admin.", "dxa_super_admin",
               groups=("northwind-staff", "northwind-admins")),
        Person("noah", "Noah", "Newman", "noah.newman@customer.example", "New here",
               "Started today. Portico has never heard of him."),
        Person("mo", "Mo", "Vesey", "mo.vesey@customer.example", "About to move",
               "Works for Northwind and tries out what is new.", "dxa_analyst",
               groups=("northwind-staff", "early-access-eu")),
        Person("mo-later", "Mo", "Vesey", "mo.vesey@customer.example", "Has moved",
               "Works for Harbour now, and signs in once more: other groups, so other rights.", "dxa_analyst",
               groups=("harbour-analysts", "harbour-data", "harbour-lunch-club"), when="a month later"),
    )
}  # fmt: skip
