"""The part of an identity provider's form that says what its assertions mean: lines of text, each with its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from orgs.models import AccessLevel
from saml_sp import configuration
from saml_sp.mapping import MAX_ATTRIBUTE_NAME, MAX_VALUE, MOST_NAMES, PRESETS, RIGHTS, Target, filled
from saml_sp.models import GroupRule

if TYPE_CHECKING:  # generic for the type checker only
    from collections.abc import Iterator

    from saml_sp.models import IdentityProvider

    _IdpForm = forms.ModelForm[IdentityProvider]
    _RuleForm = forms.ModelForm[GroupRule]
    _RuleFormSet = forms.BaseInlineFormSet[GroupRule, IdentityProvider, _RuleForm]
else:
    _IdpForm = _RuleForm = forms.ModelForm
    _RuleFormSet = forms.BaseInlineFormSet

MOST_SPELLINGS = 100
_LINES = {"rows": 3, "cols": 40, "spellcheck": "false", "autocomplete": "off", "class": "lines"}


def _shown(text: str) -> str:
    """As much of a line as an error quotes."""
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a message


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, each with its number; blanks around them do not count."""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if stripped := line.strip(" \t"):
            yield number, stripped


def _fault(number: int, line: str, longest: int, what: str) -> str | None:
    """What is wrong with a line whatever it means, or None."""
    unseen = next((character for character in line if not character.isprintable()), None)
    if unseen is not None:
        return f"Line {number} holds an invisible character (U+{ord(unseen):04X}). Type it anew instead of pasting it."
    if line != line.strip():
        return f"Line {number} has blanks at its ends."
    if len(line) > longest:
        return f"Line {number} has {len(line)} characters; {what} has at most {longest}."
    return None


class NamesField(forms.CharField):
    """Attribute names, one a line: a list of texts."""

    widget = forms.Textarea(attrs=_LINES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """As lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The names; raises ValidationError with a sentence for each line that is none."""
        names: dict[str, int] = {}
        faults = []
        for number, line in _lines(str(value or "")):
            if fault := _fault(number, line, MAX_ATTRIBUTE_NAME, "the name of an attribute"):
                faults.append(fault)
            elif line in names:
                faults.append(f"Line {number} repeats line {names[line]}: {_shown(line)}")
            else:
                names[line] = number
        if len(names) > MOST_NAMES:
            faults.append(f"There are {len(names)} names; at most {MOST_NAMES} are tried.")
        if faults:
            raise ValidationError(faults[:MOST_NAMES], code="names")
        return list(names)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other names are entered than those that are held."""
        return _differs(self, initial or [], data)


class SpellingsField(forms.CharField):
    """Words of an identity provider with the level that each means, one pair a line: a dict of texts."""

    widget = forms.Textarea(attrs=_LINES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """As lines."""
        return (
            "\n".join(f"{word} = {level}" for word, level in sorted(value.items()))
            if isinstance(value, dict)
            else value
        )

    def to_python(self, value: Any) -> Any:
        """The pairs; raises ValidationError with a sentence for each line that is none."""
        levels = [level.label for level in AccessLevel]
        pairs: dict[str, str] = {}
        faults = []
        for number, line in _lines(str(value or "")):
            word, sign, level = (part.strip() for part in line.rpartition("="))
            if fault := _fault(number, word or line, MAX_VALUE, "a word"):
                faults.append(fault)
            elif not (sign and word and level):
                faults.append(f"Line {number}: write “their word = our level”, not “{_shown(line)}”.")
            elif level not in levels:
                faults.append(f"Line {number}: “{_shown(level)}” is no level. The levels are {', '.join(levels)}.")
            elif word in pairs:
                faults.append(f"Line {number}: “{_shown(word)}” stands above already, as {pairs[word]}.")
            else:
                pairs[word] = level
        if len(pairs) > MOST_SPELLINGS:
            faults.append(f"There are {len(pairs)} words; at most {MOST_SPELLINGS} are kept.")
        if faults:
            raise ValidationError(faults[:MOST_NAMES], code="spellings")
        return pairs

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other pairs are entered than those that are held."""
        return _differs(self, initial or {}, data)


def _differs(field: forms.CharField, initial: Any, data: Any) -> bool:
    try:
        return bool(field.to_python(data) != initial)
    except ValidationError:
        return True


def field_name(target: Target) -> str:
    """What the field of this target is called."""
    return f"map_{target.value}"


def _names(label: str, help_text: str) -> NamesField:
    return NamesField(label=label, help_text=help_text)


_DEFAULT = "Empty: the names that most vendors use for it."
_NOTHING = "Empty: nothing is read."


class MappingForm(_IdpForm):
    """What the attributes of an assertion mean, and how far the identity provider's word goes.

    `is_superuser` says who fills it in; `filled` are the targets whose names came from the preset.
    """

    is_superuser = False

    preset = forms.ChoiceField(
        label="Fill in for",
        required=False,
        choices=[("", "no vendor: only what is typed"), *((key, preset.vendor) for key, preset in PRESETS.items())],
        help_text="On saving, empty fields below get the names that this vendor uses. What is typed stays.",
    )
    map_email = _names("E-mail", f"{_DEFAULT} Then all that are called like an address must agree.")
    map_first_name = _names("First name", _DEFAULT)
    map_last_name = _names("Last name", _DEFAULT)
    map_display_name = _names("Display name", _DEFAULT)
    map_groups = _names(
        "Groups", f"{_NOTHING} What a group gives is said by the group rules, and by roles with its name."
    )
    map_permissions = _names("Permissions", f"{_NOTHING} The values are access levels, or words for them.")
    map_properties = _names(
        "Properties", f"{_NOTHING} The values are external IDs; one value may hold several, with commas."
    )
    map_roles = _names("Roles", f"{_NOTHING} The values are names of roles that exist here, letter by letter.")
    level_spellings = SpellingsField(
        label="Its words for access levels",
        help_text="One a line, “their word = our level”, for example “Portico-Admins = admin”. "
        f"The levels ({', '.join(level.label for level in AccessLevel)}) are understood without.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filled: list[Target] = []
        for target in Target:
            self.initial[field_name(target)] = self.instance.attribute_mapping.get(target, [])
        if "level_ceiling" in self.fields:
            self._offer_levels(self.fields["level_ceiling"])

    def _offer_levels(self, field: Any) -> None:
        """Only a superuser lets an identity provider make somebody super_admin; what is allowed already may stay."""
        if self.is_superuser or self.instance.level_ceiling == AccessLevel.SUPER_ADMIN:
            return
        field.choices = [choice for choice in field.choices if choice[0] != AccessLevel.SUPER_ADMIN]
        field.error_messages["invalid_choice"] = "Choose one of these levels. Only a superuser allows super_admin."

    def clean(self) -> dict[str, Any]:
        """The mapping as a whole: what is typed, and the preset's names where nothing is."""
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk:
            # Until the end of the transaction: what is checked from here on still holds when it is saved.
            configuration.locked(self.instance)
        if not any(field_name(target) in self.errors for target in Target):
            typed = {target.value: cleaned[field_name(target)] for target in Target if cleaned.get(field_name(target))}
            if preset := PRESETS.get(cleaned.get("preset") or ""):
                typed, self.filled = filled(typed, preset)
            self.instance.attribute_mapping = typed
        return cleaned

    def preset_message(self) -> str | None:
        """What the preset has filled in, as a sentence; None where none was chosen."""
        preset = PRESETS.get(self.cleaned_data.get("preset") or "")
        if preset is None:
            return None
        if not self.filled:
            return f"Nothing was filled in for {preset.vendor}: no field that it has names for was empty."
        rights = [target.label for target in self.filled if target in RIGHTS]
        warning = f" From the next sign-in on it gives and takes by {' and '.join(rights)}." if rights else ""
        return f"Filled in for {preset.vendor}: {', '.join(target.label for target in self.filled)}.{warning}"


class GroupRuleForm(_RuleForm):
    """One rule on its own page."""

    def clean(self) -> dict[str, Any]:
        """Of two administrators who add the same rule at once, the second reads that it is there already."""
        cleaned = super().clean() or self.cleaned_data
        idp = self.instance.idp if self.instance.pk else cleaned.get("idp")
        if idp is not None:
            configuration.locked(idp)
        return cleaned


class GroupRuleFormSet(_RuleFormSet):
    """The rules of one identity provider."""

    def clean(self) -> None:
        """No rule twice. Django compares rows only where no part of them is empty, and of a rule one always is."""
        super().clean()
        added = [form for form in self.extra_forms if self._is_kept(form) and form.cleaned_data.get("value")]
        columns = ("value", "is_pattern", "access_group_id", "organization_id")
        same = GroupRule.objects.filter(idp=self.instance, value__in=[form.cleaned_data["value"] for form in added])
        doomed = [form.instance.pk for form in self.initial_forms if not self._is_kept(form)]
        held = set(same.exclude(pk__in=doomed).values_list(*columns)) if added else set()
        for form in added:
            rule = tuple(getattr(form.instance, column) for column in columns)
            if rule in held:
                form.add_error("value", "There is such a rule already.")
            held.add(rule)

    def _is_kept(self, form: Any) -> bool:
        return not getattr(form, "cleaned_data", {}).get("DELETE")
