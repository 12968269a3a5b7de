"""What a specimen is found by has bounds, for its table has some."""

from schemas.searching import BARCODE, MAX_BYTES, MAX_WORDS, words_of_document

CJK = "漢"


def test_a_document_of_any_length_gives_no_more_than_there_is_room_for() -> None:
    many = [f"{CJK * 80}{n}" for n in range(2 * MAX_WORDS)]
    words = words_of_document({"barcode": ["NHMD-1"], "tags": {"ocr": " ".join(many)}})
    assert sum(len(word.encode()) for word in words) <= MAX_BYTES
    assert f"{BARCODE}nhmd-1" in words and many[0] in words and many[-1] not in words
    assert len(words) > 1_000


def test_barcodes_come_before_words() -> None:
    codes = [f"{CJK * 90}{n}" for n in range(3_000)]
    words = words_of_document({"barcode": codes, "tags": {"ocr": "Quercus"}})
    assert sum(len(word.encode()) for word in words) <= MAX_BYTES
    assert "quercus" not in words and words_of_document({"tags": {"ocr": "Quercus"}}) == ["quercus"]
