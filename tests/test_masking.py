"""Quotations without people: nothing that looks like a number, a plate, an address or a known name comes through."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from churnlib.counts.masking import MASK, mask, may_name

FULL = str.maketrans("0123456789", "０１２３４５６７８９")
AROUND = st.text(st.characters(codec="utf-8"), max_size=12)
DIGITS = st.text("0123456789", min_size=5, max_size=19)


def left(text):
    """What of the patterns is still in a text, written independently of the masks."""
    flat = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] != "C")
    found = re.findall(r"[0-9]{5,}|\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d", flat) + re.findall(r"\S@\S+\.\S", flat)
    return found + re.findall(r"[皖沪粤]\s?[A-Z][·-]?[A-Z0-9]{5}", flat) + re.findall("[<>*`]", flat)


@settings(deadline=None)
@given(AROUND, DIGITS, AROUND, st.sampled_from(["", " ", "-", "\u200b", "　", ". "]), st.booleans())
@example("身份证", "34290119800101123", "X", "", True)
def test_no_number_survives(before, digits, after, between, is_full):
    number = between.join(digits)
    assert not left(mask(before + (number.translate(FULL) if is_full else number) + after))


@settings(deadline=None)
@given(AROUND, st.text("abcxyz09._", min_size=1, max_size=8), st.sampled_from(["qq.com", "公司.cn", "a-b.co.uk"]))
def test_no_mail_survives(before, who, where):
    assert not left(mask(f"{before} {who}@{where}"))
    assert not left(mask(f"{before} {who}＠{where}"))


@settings(deadline=None)
@given(AROUND, st.sampled_from("皖沪粤"), st.sampled_from("ABH"), st.text("ABCDEFGH0123456789", min_size=5, max_size=6))
def test_no_plate_survives(before, province, city, rest):
    for plate in (f"{province}{city}{rest}", f"{province}{city}·{rest}", f"{province}{city} {rest}"):
        assert not left(mask(f"{before}，{plate}"))


@settings(deadline=None)
@given(AROUND, st.sampled_from(["张伟", "欧阳娜娜", "John O'Neil", "合肥市某路三号"]), AROUND)
def test_no_known_name_survives(before, name, after):
    assert unicodedata.normalize("NFKC", name) not in mask(before + name + after, [name])


@settings(deadline=None)
@given(st.text(st.sampled_from("<>script/=\"'&;*`|b onerror\u202e\n\x00"), max_size=40))
def test_no_markup_survives(written):
    made = mask(written)
    assert not set(made) & set("<>*`|\n\x00\u202e")


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("请王先生回电，一三八零零一三八零零零", f"请{MASK}回电，{MASK}"),
        ("我叫李小明，微信号：abc_1234", f"{MASK},{MASK}"),
        ("Please call Mr Smith, my name is Ann Lee", f"Please call {MASK}, {MASK}"),
        ("My name is Ann Lee. Mr. J. Smith", f"{MASK}. {MASK}"),
        ("王小明经理没回电，欧阳先生也没有", f"{MASK}没回电，{MASK}也没有"),
        ("联系人：赵六。李经理很凶", f"{MASK}。{MASK}很凶"),
        ("车架号LSVAA4182E2123456", f"车架号{MASK}"),
        ("排队等了32分钟，太贵了", "排队等了32分钟，太贵了"),  # nothing to hide
        ("信号差，5G 用不了", "信号差，5G 用不了"),
    ],
)
def test_examples(written, made):
    assert mask(written) == made


NAMING = [
    *(
        "张伟说要退货",
        "客户李小明投诉",
        "跟陈静反映过没用",
        "营业厅的刘芳不给办",
        "经理马云飞态度不好",
        "李雷和韩梅梅推荐我去联通",
    ),
    *(
        "阿依古丽不肯退款",
        "小李说可以退",
        "老王不干了",
        "the adviser Maria was rude",
        "John Smith never called",
        "told by O'Neil",
    ),
]
HARMLESS = [
    *(
        "价格偏高，竞争对手更便宜",
        "排队等了32分钟，太贵了",
        "信号差，5G 用不了",
        "于是就走了",
        "高价套餐不合理",
        "马上就到期了",
    ),
    *(
        "任何人都不理",
        "网点太远，白跑一趟",
        "钱多事少",
        "万达广场店",
        "Too expensive. Nobody called",
        "Waited for two hours",
    ),
]


@pytest.mark.parametrize("written", NAMING)
def test_a_text_that_may_still_name_somebody_is_in_doubt(written):
    assert may_name(mask(written))


@pytest.mark.parametrize("written", HARMLESS)
def test_a_text_without_names_is_not(written):
    assert not may_name(mask(written), {"too", "nobody", "waited"})
