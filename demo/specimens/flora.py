"""What the labels of the sample sheets say: Danish plants, places and people."""

import random
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Habit(StrEnum):
    """How a plant is built, which decides how it is drawn."""

    BRANCHED = "branched"
    FROND = "frond"
    GRASS = "grass"
    HERB = "herb"
    ROSETTE = "rosette"


@dataclass(frozen=True, slots=True)
class Species:
    """A vascular plant that grows in Denmark."""

    family: str
    name: str
    author: str
    danish: str
    habit: Habit
    flower: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Gathering:
    """What was gathered, where, when and by whom."""

    species: Species
    locality: str
    habitat: str
    position: str
    gathered: date
    collector: str
    determiner: str
    number: int

    def lines(self) -> tuple[str, ...]:
        """The label, line by line, as it is printed below the herbarium's name."""
        return (
            self.species.family,
            f"{self.species.name} {self.species.author}",
            self.species.danish,
            self.locality,
            self.habitat,
            self.position,
            f"Leg. {self.collector}  Nr. {self.number}",
            f"{self.gathered:%d.%m.%Y}  Det. {self.determiner}",
        )


SPECIES = (
    Species("Betulaceae", "Betula pubescens", "Ehrh.", "Dunbirk", Habit.BRANCHED),
    Species("Dryopteridaceae", "Dryopteris filix-mas", "(L.) Schott", "Mangeløv", Habit.FROND),
    Species("Poaceae", "Deschampsia cespitosa", "(L.) P. Beauv.", "Mosebunke", Habit.GRASS),
    Species("Onagraceae", "Epilobium hirsutum", "L.", "Lådden dueurt", Habit.HERB, (150, 84, 124)),
    Species(
        "Primulaceae", "Primula veris", "L.", "Hulkravet kodriver", Habit.ROSETTE, (206, 168, 66)
    ),
    Species("Ericaceae", "Vaccinium vitis-idaea", "L.", "Tyttebær", Habit.BRANCHED, (146, 42, 40)),
    Species("Lamiaceae", "Mentha aquatica", "L.", "Vandmynte", Habit.HERB, (142, 116, 158)),
    Species("Plantaginaceae", "Plantago lanceolata", "L.", "Lancetbladet vejbred", Habit.ROSETTE),
)

PLACES = (
    ("Ærøskøbing, Ærø", "Strandeng ved Vesterstrand", "54°53' N  10°25' E"),
    ("Ålborg, Østerådalen", "Fugtig eng langs åen", "57°01' N  9°56' E"),
    ("Østerby, Læsø", "Hedemose med lyng og pors", "57°16' N  11°02' E"),
    ("Skørping, Rold Skov", "Skovbryn på sur bund", "56°50' N  9°53' E"),
    ("Møns Klint, Møn", "Kalkoverdrev over klinten", "54°58' N  12°33' E"),
    ("Sønderho, Fanø", "Fugtig klitlavning", "55°21' N  8°28' E"),
    ("Hørsholm, Rude Skov", "Ellesump ved Løgsø", "55°50' N  12°29' E"),
    ("Tværsted, Vendsyssel", "Grå klit bag stranden", "57°36' N  10°11' E"),
)

PEOPLE = ("K. Ølgaard", "M. Sørensen", "Å. Nørgård", "B. Kjærsgaard", "E. Højlund", "T. Bæk")


def gathering(chance: random.Random, number: int) -> Gathering:
    """Gathering `number` of a set: species and place go round, the rest is drawn."""
    locality, habitat, position = PLACES[number % len(PLACES)]
    return Gathering(
        species=SPECIES[number % len(SPECIES)],
        locality=locality,
        habitat=habitat,
        position=position,
        gathered=date(chance.randint(1931, 2019), chance.randint(5, 9), chance.randint(1, 28)),
        collector=chance.choice(PEOPLE),
        determiner=chance.choice(PEOPLE),
        number=chance.randint(100, 9999),
    )
