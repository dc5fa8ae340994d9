"""The fixed vocabulary of the canonical model: tables and their columns, rules, reason codes, and the words for codes.

Data only. What a word is called for readers stands in the catalogue; here stand the names that files, dataset.yml and
code share, and the words that Chinese and English records use for them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["set_aside", "keep", "stop"]


class Canonical(NamedTuple):
    """One canonical column: the kind of its values, whether a table must declare it, the words for its codes."""

    kind: Literal["id", "text", "category", "date", "money", "number", "flag", "reasons"]
    required: bool = False
    codes: dict[str, tuple[str, ...]] | None = None
    closed: bool = False  # words outside `codes` break the rule unknown_category


def coded(table: str, between: str = ", ") -> dict[str, tuple[str, ...]]:
    """Give code -> the words for it, from lines such as `code: word, word`; a code may go on in a second line."""
    found: dict[str, tuple[str, ...]] = {}
    for line in table.strip().splitlines():
        code, _, words = line.strip().partition(": ")
        found[code] = (*found.get(code, ()), *words.split(between))
    return found


def codes_of(words_of: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Give word -> code, the codes themselves among the words."""
    return {word: code for code, words in words_of.items() for word in (code, *words)}


class Rule(NamedTuple):
    """What is done by default with rows that break a rule, and what dataset.yml may choose instead."""

    severity: Severity
    allowed: tuple[Severity, ...]


STILL_HERE = ("在网", "正常", "在用", "有效", "活动", "未离网", "未流失", "active", "current")  # no outcome yet
OUTCOMES = coded("""
    voluntary: 主动, 主动离网, 主动流失, 主动销户, 主动解约, 自愿, 客户主动, 转网, 携号转网
    involuntary: 被动, 被动离网, 欠费离网, 欠费, 欠费销户, 欠费拆机, 强制离网, 欺诈, 非自愿
    natural: 自然, 自然离网, 自然流失, 搬迁, 停业, 死亡, 车辆转让, 转行
    unknown: 未知, 不详, 其他, 其它
""")
CHURN_MARKS = coded(f"""
    1: 流失, 已流失, 离网, 已离网, 销户, 已销户, churned, churn, attrited customer, attrited, exited, left, lost
    1: cancelled, canceled, closed, true.
    0: {", ".join(STILL_HERE)}
    0: 存量, 留存, 未销户, existing customer, retained, stayed, not churned, no churn, existing, open, false.
""")
FOLLOW_UPS = coded("""
    answered: 已回访, 回访成功, 成功, 已接通, 接通, 已答复, 有效, reached
    declined: 拒答, 拒绝回答, 拒访, refused
    not_asked: 未调查, 未回访, 未联系, not asked
    suspended: 停机
    empty_number: 空号
    wrong_number: 号码有误, 错号, 号码错误, wrong number
    switched_off: 关机
    no_connection: 无法接通, 不在服务区
    no_answer: 无人接听, 未接, no answer
    forwarded: 呼转, 呼叫转移
    rejected: 拒接, 挂断
    busy: 有事忙, 忙, 占线, 正忙
    away: 人在外地, 外地
    other: 其他, 其它
""")
ARMS = coded("""
    treated: 试验组, 实验组, 处理组, 干预组, 目标组, treatment, target, test, 1
    control: 对照组, 控制组, 留白组, hold-out, holdout, 0
""")
ACTIVITY_KINDS = coded("""
    visit: 进厂, 到店, 来访, 维修, 保养
    purchase: 购买, 消费, 采购, 订单, 下单
    bill: 账单, 出账
    payment: 缴费, 付款, 还款, 回款
    arrears: 欠费
    deposit: 存款, 存入
    return: 退货, 退款
    shipment: 发货, 出库, 进货
    sale: 销售, 销出, 动销
""")
CONTACT_KINDS = coded("""
    complaint: 投诉, 抱怨
    satisfaction: 满意度, 满意度调查, 满意度回访
    mystery_shopper: 神秘客, 神秘顾客, 神秘客检查
    call: 服务电话, 回访, 电话, 来电, 外呼
    return: 退货
    manager_change: 客户经理更换, 更换客户经理, 客户经理变更, 业务员变更
""")
EVENT_KINDS = coded("""
    price: 调价, 涨价, 降价, 价格调整
    outage: 故障, 断网, 停服
    competitor: 竞品优惠, 竞争对手优惠, 竞品, 竞争对手
    crisis: 质量危机, 危机, 行业危机
    policy: 政策, 政策法规
    new_product: 新产品, 新品上市
    staff_departure: 员工离职, 离职, 人员离职
    measure: 公司措施, 措施, 整改
""")
RELATIONSHIPS = coded("""
    good: 好
    fair: 良好, 较好
    ordinary: 一般
""")
MEASURES = coded("""
    reported: 已向公司汇报, 向公司汇报, 已汇报, reported to the company
    talked: 已与客户沟通, 与客户沟通, 与客户交谈, talked with the customer
    improved: 已改进服务, 改进服务, improved service
    not_called: 不再拜访, 不再联系, no longer called
    replaced: 已有新客户替代, 新客户替代, 已开发新客户, replaced by a new customer
    other: 其他, 其它
""")
EVALUATIONS = coded("""
    rebuild: 重建业务, 重新建立业务, 恢复业务, rebuild business
    stop: 不再发展业务, 不再合作, 放弃, no further business
    later: 以后再定, 待定, 以后再说, decide later
""")
# what a filled-in churn form gives, one row a form
FORM_COLUMNS = tuple("customer_id date reasons follow_up lost_to relationship measures evaluation text".split())
TICKS = dict.fromkeys("☑■●◉xv勾选", "1") | {"已选": "1"} | dict.fromkeys("☐□○◯", "0")

_ID, _TEXT, _DATE, _MONEY, _NUMBER = (Canonical(kind) for kind in ("id", "text", "date", "money", "number"))
_CUSTOMER, _DAY = Canonical("id", required=True), Canonical("date", required=True)
_OUTCOME = Canonical("category", codes=OUTCOMES, closed=True)

TABLES: dict[str, dict[str, Canonical]] = {
    "customers": {
        "customer_id": _CUSTOMER,
        "start_date": _DATE,
        "end_date": _DATE,
        "outcome": _OUTCOME,
        "tenure": _NUMBER,  # in a snapshot without dates: in the data set's time unit
        "churned": Canonical("flag", codes=CHURN_MARKS),
        "monthly_fee": _MONEY,
        "service_cost": _MONEY,
        "margin": _NUMBER,
    },
    "contracts": {
        "customer_id": _CUSTOMER,
        "contract_id": _ID,
        "product": _TEXT,
        "start_date": _DAY,
        "end_date": _DATE,
        "outcome": _OUTCOME,
        "transferred_to": _ID,
    },
    "assignments": {
        "customer_id": _CUSTOMER,
        "attribute": Canonical("text", required=True),
        "value": Canonical("text", required=True),
        "from_date": _DAY,
        "to_date": _DATE,
    },
    "activity": {
        "customer_id": _CUSTOMER,
        "date": _DAY,
        "amount": _MONEY,
        "kind": Canonical("category", codes=ACTIVITY_KINDS),
        "quantity": _NUMBER,
        "item": _TEXT,
    },
    "contacts": {
        "customer_id": _CUSTOMER,
        "date": _DAY,
        "kind": Canonical("category", required=True, codes=CONTACT_KINDS),
        "category": _TEXT,
        "score": _NUMBER,
        "resolved": Canonical("flag"),
        "text": _TEXT,
    },
    "exit_survey": {
        "customer_id": _CUSTOMER,
        "date": _DATE,
        "follow_up": Canonical("category", codes=FOLLOW_UPS, closed=True),
        "reasons": Canonical("reasons"),
        "lost_to": _TEXT,
        "relationship": Canonical("category", codes=RELATIONSHIPS, closed=True),
        "measures": _TEXT,
        "evaluation": Canonical("category", codes=EVALUATIONS, closed=True),
        "text": _TEXT,
        "version": _TEXT,
    },
    "events": {
        "date": _DAY,
        "end_date": _DATE,
        "kind": Canonical("category", codes=EVENT_KINDS),
        "label_zh": _TEXT,
        "label_en": _TEXT,
        "scope": _TEXT,
    },
    "campaigns": {
        "customer_id": _CUSTOMER,
        "campaign": Canonical("text", required=True),
        "arm": Canonical("category", required=True, codes=ARMS, closed=True),
        "date": _DAY,
        "channel": _TEXT,
        "adviser": _TEXT,
        "offer": _TEXT,
        "cost": _MONEY,
        "outcome": _TEXT,
        "return_date": _DATE,
        "revenue_after": _MONEY,
    },
    "benchmarks": {
        "industry": Canonical("text", required=True),
        "industry_en": _TEXT,
        "period": _TEXT,
        "churn_rate": Canonical("number", required=True),
        "source": _TEXT,
        "source_en": _TEXT,
    },
}

OUR_COLUMNS = ("who", "customer")  # the codes of customers: no attribute may be called so

_ASIDE: tuple[Severity, ...] = ("set_aside", "stop")
_ANY: tuple[Severity, ...] = ("set_aside", "keep", "stop")
_FLAG: tuple[Severity, ...] = ("keep", "stop")

RULES: dict[str, Rule] = {  # in the order in which they are tried: a row is set aside by the first rule that it breaks
    "undecodable": Rule("set_aside", _ASIDE),
    "wrong_field_count": Rule("set_aside", _ASIDE),
    "footer": Rule("set_aside", ("set_aside",)),
    "bad_id": Rule("set_aside", _ASIDE),
    "missing_id": Rule("set_aside", _ASIDE),
    "duplicate_customer": Rule("set_aside", _ASIDE),
    "bad_date": Rule("set_aside", _ASIDE),
    "missing_date": Rule("set_aside", _ASIDE),
    "missing_value": Rule("set_aside", _ASIDE),
    "missing_start": Rule("set_aside", _ANY),
    "start_after_as_of": Rule("set_aside", _ASIDE),
    "end_before_start": Rule("set_aside", _ANY),
    "outcome_without_end": Rule("set_aside", _ANY),
    "bad_amount": Rule("set_aside", _ANY),
    "bad_number": Rule("set_aside", _ANY),
    "bad_flag": Rule("keep", _ANY),
    "future_date": Rule("set_aside", _ASIDE),
    "conflicting_customer": Rule("set_aside", _ASIDE),
    "customer_set_aside": Rule("set_aside", ("set_aside",)),
    "unknown_customer": Rule("set_aside", _ANY),
    "duplicate_activity": Rule("set_aside", _ANY),
    "duplicate_row": Rule("set_aside", _ANY),
    "bad_attribute": Rule("keep", _ANY),
    "unknown_category": Rule("keep", _ANY),
    "unknown_reason": Rule("keep", _FLAG),
    "end_after_as_of": Rule("keep", _FLAG),
    "activity_outside_life": Rule("keep", _ANY),
}

REASON_GROUPS = coded("""
    product: homogeneous, quality, outdated, function, needs_mismatch, range, expectation_gap
    price: too_high, price_sensitive, unstable, opaque, rebate, rate_inflexible, fees
    service: attitude, efficiency, complaint_unresolved, follow_up, aftersales, delivery, technical, procedure, damaged
    relationship: no_contact, not_personal, staff_left, manager_changed, small_customer_neglected, detail
    relationship: not_well_handled
    trust: promise_broken, invoice, brand, unclear_positioning
    competitor: offer, new_product, poached, squeezed
    access: distance, transport, channel, network, stale_information, order_refused
    company: turbulence, management, policy_harsh, grey_market
    external: economy, regulation, technology, market, crisis
    natural: closed, moved, sold, life_stage, fashion, purchasing_power, solvency
    unknown: unreachable, not_asked, declined
""")
OTHER_REASON = "unknown.other"  # a reason was given that the company's list does not map: shown, never hidden
REASONS = (*(f"{group}.{reason}" for group, reasons in REASON_GROUPS.items() for reason in reasons), OTHER_REASON)
# coarser lists that texts on churn use: list -> code -> groups or reasons taken together; all others are "other"
MAPPINGS = {
    "type": coded("""
        satisfaction: service, relationship, trust, company
        competition: competitor, price
        quality: product, access.network
    """),
    "initiative": coded("""
        active: product, price, service, relationship, trust, access, company
        passive: competitor
    """),
}
