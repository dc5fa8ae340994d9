"""Every number that the simulated operator is made from: the truth, before chance.

Hazards are monthly (a month is 30.4375 days) and act by the day. A customer's voluntary hazard is

    BASE x level (region, age, plan, payment, contactable) x tenure x lock-in x season x noise of the month
         x (1 + the sum of the relative excesses of all causes that act on the customer)

so the causes add up exactly; involuntary and natural ends have hazards of their own. Whatever acts as of a month is
known at its first day: a complaint of June acts in July, August and September.
"""

import numpy as np

SEED = 47  # chance leaves case 1 plain: steady to March, up from April, top in July, down to the end
SIZE = 1.0  # of the market; smaller for tests
OBSERVED_FROM = np.datetime64("2023-01-01")  # ends are recorded since then: customers who left before are in no file
AS_OF = np.datetime64("2026-01-12")
MONTHS = np.arange("2017-01", "2026-02", dtype="datetime64[M]")  # first starts six years before the first recorded end
DAYS_PER_MONTH = 30.4375
NOISE_SD = 0.05  # of the log hazard, one draw for each month: the overdispersion of the monthly rate


def month(text: str) -> int:
    """Return the number of a month such as "2025-04", counted from the first simulated one."""
    return int(np.datetime64(text, "M") - MONTHS[0])


# ---- who joins ------------------------------------------------------------------------------------------------------
JOINS = (440, 680)  # new customers a month in the first and the last month, linear between: growth
JOIN_SEASON = np.array([1, 0.85, 1, 1, 1, 1.02, 1.02, 1.06, 1.14, 1.0, 0.97, 0.95])
REGIONS = {  # share of those who join, level of the hazard, cities
    "华南": (0.25, 1.00, ("广州", "深圳", "南宁")),
    "华东": (0.28, 0.95, ("上海", "杭州", "南京", "合肥")),
    "华北": (0.19, 1.00, ("北京", "天津", "石家庄")),
    "西南": (0.15, 1.10, ("成都", "重庆", "昆明")),
    "华中": (0.13, 1.05, ("武汉", "长沙", "郑州")),
}
AGE_BANDS = {
    18: (0.16, 1.15),
    25: (0.30, 1.05),
    35: (0.22, 0.95),
    45: (0.20, 0.90),
    60: (0.12, 0.85),
}  # from, share, level
OLDEST = 84
PLANS = {  # share of those who join: first month, last month; level of the hazard; monthly fees in yuan
    "旧4G套餐": (0.56, 0.00, 1.00, (58, 88, 128)),
    "4G畅享": (0.36, 0.20, 1.05, (38, 58, 88)),
    "5G畅享": (0.00, 0.50, 0.95, (99, 129, 169)),
    "5G尊享": (0.03, 0.17, 0.80, (199, 239, 299)),
    "校园卡": (0.05, 0.13, 1.15, (19, 29, 39)),  # under 25 only; others who draw it take 4G畅享
}
OLD_PLAN_CLOSED = month("2023-07")  # nobody joins with 旧4G套餐 any more
PREPAID = (0.44, 0.52, 1.15)  # share in the first and the last month; level
CONTRACTS = {
    "无合约": (0.30, 0),
    "12个月": (0.38, 12),
    "24个月": (0.32, 24),
}  # postpaid: share, months; prepaid have none
PROMOTION = (0.06, 0.12)  # share that joins by a promotion, until 2023 and since 2024
NOT_CONTACTABLE = (0.12, 1.15)  # share without valid contact data; level
LARGE = (
    0.11,
    (388, 588, 888, 1288),
)  # share of postpaid customers from 25 on that are groups (集团) with an account manager; their fees
BRANDS = {"130": 0.45, "131": 0.30, "133": 0.25}
N_MANAGERS = 24

# ---- when they leave ------------------------------------------------------------------------------------------------
BASE = 0.0124
TENURE = ((0, 1.35), (1, 1.6), (3, 1.4), (6, 1.2), (12, 1.0), (24, 0.88), (36, 0.78), (60, 0.7))  # from month, level
LOCK_IN = 0.35  # level while the contract runs
INVOLUNTARY = {"prepaid": 0.0030, "postpaid": 0.0016}
INVOLUNTARY_FROM = 2  # months of tenure before arrears can end a contract
INVOLUNTARY_NOT_CONTACTABLE = 1.6
NATURAL = 0.0013
SEASON = np.array([0.00, -0.02, 0.00, -0.01, 0.00, 0.01, 0.02, 0.02, 0.03, 0.01, -0.02, -0.04])  # log level by month
SPRING_FESTIVALS = ("2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17")
SPRING_FESTIVAL = (0.10, -7, 14)  # log level; from, to in days around the day: spread over the months it falls in
UNKNOWN_OUTCOME = (0.04, 0.09)  # share of ends recorded without their kind: contactable, not contactable

# ---- causes that always act (relative excess of the voluntary hazard) ------------------------------------------------
CONTRACT_END = {0: 4.0, 1: 1.5}  # in the first and second month after the contract ran out
PROMOTION_EXCESS, PROMOTION_MONTHS = 5.0, 3  # seekers leave within three months
SILENT_ONSET, SILENT_EXCESS = 0.0025, 1.2  # zero-usage lines: share a month that falls silent; excess since then
COMPLAINT_RATE, UNRESOLVED_SHARE = 0.016, 0.25  # a month; share never resolved
COMPLAINT_EXCESS, COMPLAINT_MONTHS = 5.0, 3  # in each of the next three months, while unresolved
MANAGERS_LEFT = {"经理07": "2024-03", "经理15": "2024-09", "经理22": "2025-02"}
MANAGER_LEFT_EXCESS, MANAGER_LEFT_MONTHS = 4.0, 4
MANAGER_CHANGE = 0.004  # other changes of account manager a month: without effect

# ---- the story of 2025 -----------------------------------------------------------------------------------------------
STORY_FROM = month("2025-01")
# (a) outage in 华南 from 2 April: a direct loss (signal, satisfaction), and complaints that stay unresolved
OUTAGE_REGION = "华南"
OUTAGE = {
    "2025-04": 1.10,
    "2025-05": 0.90,
    "2025-06": 0.75,
    "2025-07": 0.60,
    "2025-08": 0.50,
    "2025-09": 0.40,
    "2025-10": 0.30,
}
WAVE = {  # complaint rate and share unresolved in the region: the wave
    "2025-04": (0.080, 0.60),
    "2025-05": (0.100, 0.60),
    "2025-06": (0.100, 0.60),
    "2025-07": (0.095, 0.60),
    "2025-08": (0.080, 0.55),
    "2025-09": (0.065, 0.50),
    "2025-10": (0.025, 0.25),
}
# (b) competitor's offer from May to October: 25-34 year-olds in two regions
COMPETITOR_REGIONS, COMPETITOR_AGES = ("华东", "西南"), (25, 34)
COMPETITOR = {
    "2025-05": 1.2, "2025-06": 1.5, "2025-07": 1.7, "2025-08": 1.7,
    "2025-09": 1.7, "2025-10": 1.6, "2025-11": 0.4, "2025-12": 0.1,
}  # fmt: skip
# (c) the outdated plan: a slow, steady loss since 2024
OUTDATED_PLAN, OUTDATED_FROM, OUTDATED_SLOPE = "旧4G套餐", month("2024-01"), 0.025  # excess grows by so much a month
# (d) price rise for prepaid customers on 1 July
PRICE_RISE = {"2025-07": 0.70, "2025-08": 0.20, "2025-09": 0.10}
PRICE_RISE_FACTOR = 1.12

# ---- moves, returns, value -------------------------------------------------------------------------------------------
UPGRADE, UPGRADE_NEW_PRODUCT = 0.003, (0.008, month("2025-11"))  # a month, from the 4G plans to 5G畅享
UPGRADE_FEE = 1.15
TRANSFER = 0.6  # share of upgrades by 130/131 customers that move them to brand 133: a new contract, no churn
RETURN = 0.075  # share of voluntary leavers who come back by themselves
RETURN_DAYS = (32, 240)
DECLINE_ONSET = 0.0035  # a month: customers above DECLINE_FEE fall to DECLINE_TO of their base and stay there
DECLINE_FEE, DECLINE_TO = 100, 0.35
DECLINE_WAVE = (2.5, "5G尊享", month("2025-06"))  # times as many on this plan since then (a second card elsewhere)
BROADBAND = (0.15, 0.010)  # share with broadband as a second product; share that closes it a month
SYMPTOM = (0.6, (0.5, 0.6, 0.75, 0.9))  # share of voluntary leavers whose bills fall before they go; last month first
NEGATIVE_MARGIN = 0.08  # share of customers whose service costs more than they pay

# ---- campaigns -------------------------------------------------------------------------------------------------------
RETENTION = {
    "month": "2025-09",
    "treated": 0.6,
    "effect": 0.30,
    "months": 3,
    "share": 0.6,
}  # effect: hazard falls by it
WIN_BACK = {
    "months": ("2025-08", "2025-11"),
    "treated": 0.6,
    "effect": 0.06,
}  # effect: share that returns because of it

# ---- what customers say ----------------------------------------------------------------------------------------------
SAMPLE, RESPONSE = 1500, 0.42  # satisfaction: customers asked a month; share that answers
SCORE = {"mean": 8.1, "sd": 1.6, "unresolved": -2.5, "prepaid": -0.2}
SCORE_OUTAGE = {"2025-04": -1.6, "2025-05": -1.5, "2025-06": -1.4, "2025-07": -1.3, "2025-08": -1.1, "2025-09": -0.9,
                "2025-10": -0.6, "2025-11": -0.3, "2025-12": -0.2}  # fmt: skip

WORDS = {  # the company's words for reasons, and how often each is ticked beside the main one
    "price.too_high": ("价格偏高", 0.10),
    "price.unstable": ("资费上涨", 0.03),
    "competitor.offer": ("竞争对手优惠", 0.07),
    "access.network": ("信号不好", 0.06),
    "service.complaint_unresolved": ("投诉未处理", 0.03),
    "service.attitude": ("服务态度差", 0.04),
    "service.efficiency": ("办理等待久", 0.03),
    "product.outdated": ("套餐老旧", 0.04),
    "product.needs_mismatch": ("与需求不符", 0.05),
    "trust.invoice": ("账单争议", 0.03),
    "relationship.staff_left": ("客户经理离职", 0.005),
    "natural.moved": ("搬迁外地", 0.02),
    "natural.life_stage": ("不再需要", 0.03),
    "natural.purchasing_power": ("经济困难", 0.02),
    "unknown.other": ("其他", 0.05),
}
RENAMED = {"信号不好": "网络质量差", "价格偏高": "资费偏高"}  # in the second version of the form, since 2025
_ORDINARY = {
    "price.too_high": 0.26, "competitor.offer": 0.20, "access.network": 0.13, "product.needs_mismatch": 0.10,
    "service.attitude": 0.07, "service.efficiency": 0.06, "product.outdated": 0.05, "trust.invoice": 0.05,
    "price.unstable": 0.03, "service.complaint_unresolved": 0.02, "unknown.other": 0.03,
}  # fmt: skip
MAIN_REASON = {  # true cause -> main reason stated: the misreport. What is missing to 1 is drawn from the ordinary mix
    "ordinary": {},
    "contract_end": {"competitor.offer": 0.35, "price.too_high": 0.35},
    "promotion": {"product.needs_mismatch": 0.40, "price.too_high": 0.25},
    "silent": {"natural.life_stage": 0.50, "product.needs_mismatch": 0.20},
    "complaint": {"service.complaint_unresolved": 0.35, "service.attitude": 0.15, "price.too_high": 0.20},
    "complaint_wave": {"service.complaint_unresolved": 0.35, "access.network": 0.20, "price.too_high": 0.15},
    "outage": {"access.network": 0.65, "price.too_high": 0.10},
    "competitor": {"competitor.offer": 0.50, "price.too_high": 0.35},
    "outdated": {"product.outdated": 0.50, "price.too_high": 0.20},
    "price_rise": {"price.unstable": 0.45, "price.too_high": 0.35},
    "manager_left": {"relationship.staff_left": 0.55, "competitor.offer": 0.15},
    "involuntary": {"natural.purchasing_power": 0.50, "price.too_high": 0.25},
    "natural": {"natural.moved": 0.60, "natural.life_stage": 0.30},
}  # fmt: skip
ORDINARY_REASONS = _ORDINARY
ASKED = 0.85  # share of those who left that the service centre calls at all
ANSWER = 0.62  # of those asked with valid contact data; times the factors below
ANSWER_BY_CAUSE = {"complaint": 0.45, "complaint_wave": 0.45, "outage": 0.8, "competitor": 0.8, "involuntary": 0.35,
                   "natural": 1.25, "price_rise": 1.2}  # fmt: skip
ANSWER_BY_SEGMENT = {"华南": 0.9, "prepaid": 0.85, "25-34": 0.9}
