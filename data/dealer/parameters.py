"""Every number that the simulated dealer is made from: the truth, before chance.

A vehicle that leaves the workshop decides there and then whether to come back. It is lost to a cause with the chance
that stands here, by what is true on that day; else the next visit follows after a gap. So each visit churns, by the
rule of twelve months, with a known chance: the sum over the causes, and of those not lost, the share with a gap that
long. What happens in July 2023 is counted as churn in July 2024.
"""

SEED = 17
SIZE = 1.0  # of the dealer; smaller for tests
OPENED, OBSERVED_FROM, AS_OF = "2016-01-01", "2021-01-01", "2026-01-09"
JOIN = 92  # vehicles sold or taken on in a month
PASS_BY = (15, 0.15)  # 过路车 in a month since 2021, share that comes a second time; they never count

PROVINCES = {"安徽": (0.70, 1.0), "江西": (0.12, 2.0), "湖北": (0.08, 2.0), "江苏": (0.06, 3.5), "浙江": (0.04, 3.5)}
MODELS = {
    "轿车A": (0.34, 1.0),
    "轿车B": (0.24, 1.0),
    "SUV-C": (0.22, 3.0),
    "MPV-D": (0.12, 1.0),
    "新能源E": (0.08, 1.0),
}
ADVISERS = 10
REACH = (0.5, 0.85)  # share of the listed that the worst and the best adviser get on the phone

WARRANTY_MONTHS = 36
GAP_DAYS, GAP_SHAPE = 146, 9  # 2.5 visits a year
LOW_USE = (0.12, 1.45)  # vehicles that drive little: share, gaps times
COMES_BACK = (0.05, 400, 800)  # of the lost, by themselves, after so many days

# cause -> chance per visit in warranty, out of warranty
CAUSES = {
    "other_station": (0.022, 0.0),  # times the province
    "repair_shop": (0.0, 0.040),  # times 1.5 beyond 30 km
    "price": (0.002, 0.008),
    "chain_shop": (0.0, 0.0),
    "waiting": (0.012, 0.014),
    "quality": (0.004, 0.004),  # times the model
    "no_contact": (0.004, 0.005),
    "sold": (0.004, 0.012),
    "moved": (0.005, 0.005),
}
GONE = ("sold", "moved")  # nobody can win these back
PRICE_RISE = ("2023-07-01", "2023-12-31", 0.045)  # out of warranty: added chance while it is news
CHAIN_OPENS = ("2024-03-01", 0.13)  # out of warranty within 15 km: added chance, for good
FAST_LANE = ("2024-10-01", 0.3)  # waiting is left with this share

LISTS_FROM = "2024-06-01"  # win-back lists on every first of the month: silent for 9 months, silent for 12
TREATED, CALL_COST, VOUCHER = 0.75, 300, 50_000  # share called; fen
WON = {"at_risk": 0.16, "lost": 0.11}  # of those reached on the phone, because of the call

WORDS = {  # reason -> the dealer's word, chance of being ticked beside the main one
    "access.distance": ("离家远，就近去了别的站", 0.06),
    "price.too_high": ("收费高", 0.18),
    "price.unstable": ("工时费上涨", 0.06),
    "competitor.offer": ("连锁快修优惠", 0.05),
    "service.efficiency": ("等待时间长", 0.09),
    "service.technical": ("修不好/返修", 0.05),
    "service.attitude": ("服务态度", 0.04),
    "relationship.no_contact": ("没人联系我", 0.06),
    "natural.life_stage": ("用车少", 0.03),
    "natural.sold": ("车辆已转让", 0.0),
    "natural.moved": ("人在外地", 0.0),
    "unknown.other": ("其他", 0.02),
}
SAYS = {  # true cause -> main reason; the rest tick whatever people tick
    "other_station": {"access.distance": 0.75},
    "repair_shop": {"price.too_high": 0.70},
    "price": {"price.unstable": 0.55, "price.too_high": 0.35},
    "chain_shop": {"competitor.offer": 0.45, "price.too_high": 0.40},
    "waiting": {"service.efficiency": 0.65},
    "quality": {"service.technical": 0.70},
    "no_contact": {"relationship.no_contact": 0.50, "price.too_high": 0.20},
    "sold": {"natural.sold": 0.95},
    "moved": {"natural.moved": 0.90},
    "rare": {"natural.life_stage": 0.80},  # not lost at all: silent for a year, then back
}
ANSWERED, DECLINED = 0.66, 0.08  # the other 30 % cannot be reached
ANSWER_BY_CAUSE = {"moved": 0.5, "sold": 0.8, "quality": 0.85, "rare": 1.15}
UNREACHED = {"无人接听": 25, "关机": 13, "停机": 14, "空号": 12, "拒接": 11, "有事忙": 9, "无法接通": 7, "呼转": 5,
             "人在外地": 4}  # fmt: skip
WRONG_NUMBER = 0.29  # of the unreached, and exactly these in the last months: 41 in three months, then 48
WRONG_NUMBERS = {"2025-09": 10, "2025-10": 14, "2025-11": 17, "2025-12": 17}

ITEMS = {  # item -> share of visits, kind in the file, mean amount in yuan
    "常规保养": (0.55, "保养", 620),
    "机修": (0.20, "一般维修", 1350),
    "钣喷": (0.13, "事故车", 2600),
    "轮胎": (0.07, "一般维修", 1500),
    "返修": (0.05, "返修", 0),
}
INSURANCE = (0.30, 3200)  # share that renews the insurance here every year, yuan: a payment, no visit
NEW_VALUE = 18_000  # fen a month: what the budget says of vehicles in their first year
