"""Texts without the people in them: names, phones, identity numbers, addresses of mail, plates and other keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable

from churnlib.model.reasonwords import DEGREE, tagged

MASK = "●●"
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江"
    "尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤欧阳诸葛司马上官尚温季俞章鲁倪庞殷施耿关兰牛甘仝柳阮裴翁柯凌盛蓝祝聂"
)
_TITLE = "先生|女士|小姐|太太|师傅|老师|经理|主任|老板|同志|总|某某|某"
_HALF = re.compile(r"(?<=[\u4e00-\u9fff])\s*[,;:!?]\s*|\s*[,;:!?]\s*(?=[\u4e00-\u9fff])")
_WIDE = str.maketrans(",;:!?", "，；：！？")
_PATTERNS = [
    re.compile(r"[\w.+-]+\s*@\s*[\w-]+(?:\s*\.\s*[\w-]+)+"),  # mail
    re.compile(r"(?:https?://|www\.)\S+", re.I),
    # plates, of new energy too
    re.compile(
        r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领]\s*[A-Za-z]\s*[-·•.]?\s*[A-Za-z0-9]{4,6}[挂学警港澳]?"
    ),
    re.compile(r"(?:微信|微信号|wechat|qq|账号|帐号|工号|卡号)\s*(?:号|id)?\s*[:是为]?\s*[A-Za-z0-9_-]{4,}", re.I),
    re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)[A-Za-z0-9]{7,}(?![A-Za-z0-9])"),  # vehicle numbers, contract numbers
    re.compile(r"\+?\d(?:[\s().\-_/、,:*]{0,2}\d){4,}[Xx]?"),  # five digits and more, however they are set apart
    re.compile(r"[零〇一二三四五六七八九幺两]{5,}"),  # said digit by digit
    re.compile(rf"[{_SURNAMES}][\u4e00-\u9fff]{{0,2}}(?:{_TITLE})"),
    re.compile(r"(?:我叫|我是|姓名|名字是|名字|联系人|本人|找|叫)\s*[:是为]?\s*[\u4e00-\u9fff]{2,3}(?=[,。;!、\s]|$)"),
    re.compile(r"\b(?:mr|mrs|ms|miss|dr|sir)\b\.?\s+(?:[A-Z]\.\s*)*[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?", re.I),
    re.compile(r"\b(?i:my name is|i am|i'm|this is|call me|ask for)\s+[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?"),
]
_CAPITAL = re.compile(r"[A-Z][a-z]+(?:['-][A-Z]?[a-z]+)?")
_BEGINS = re.compile(r"(?:^|[.!?。！？…●])\W*$")


def mask(written: str, names: Iterable[str] = ()) -> str:
    """Take what would name a person out of a text, and what would be markup.

    Parameters
    ----------
    written : str
    names : iterable of str
        Names and other personal values that are known to be in it.

    Returns
    -------
    str
        One line, half-width letters and digits, with ●● in place of what was taken out.

    Examples
    --------
    >>> mask("请回电１３８ 0013 8000，王某某。")
    '请回电●●,●●。'
    """
    text = unicodedata.normalize("NFKC", written)
    # invisible characters could hide a number from the patterns, and turn the line around in a page
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cs", "Cn") or c in "\n\t")
    text = re.sub(r"<[^<>]*>", " ", text)
    text = " ".join(re.sub(r"[<>*`|\\]", " ", text).split())
    for name in sorted({n for n in (unicodedata.normalize("NFKC", n) for n in names) if len(n) > 1}, key=len)[::-1]:
        text = re.sub(re.escape(name), MASK, text, flags=re.I)
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    text = re.sub(rf"{MASK}(?:\s*{MASK})+", MASK, text)
    return _HALF.sub(lambda found: found[0].strip().translate(_WIDE), text)  # full-width beside Han, as readers expect


def may_name(masked: str, usual: Container[str] = ()) -> bool:
    """Tell whether a masked text may still name somebody: a quotation in doubt is not shown.

    Parameters
    ----------
    masked : str
    usual : container of str
        Words, in lower case, that many texts use: with such a one a sentence may begin.

    Returns
    -------
    bool
        A Chinese word that the dictionary or its model of unknown words takes for a person's name, or a capitalised
        word that is not the usual beginning of a sentence. A name in lower case goes unnoticed.
    """
    if any(kind.startswith("nr") and word[0] not in DEGREE for word, kind in tagged(masked)):
        return True
    words = ((found[0].lower(), _BEGINS.search(masked[: found.start()])) for found in _CAPITAL.finditer(masked))
    return any(not begins or word not in usual for word, begins in words)
