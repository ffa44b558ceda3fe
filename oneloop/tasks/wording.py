"""Parts of the clues that several task files share, as regular expressions over lower-case text without accents."""

NUMBER = (
    r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|twelve|a few|a couple of|dos|tres|cuatro|cinco|pocas"
    r"|deux|trois|quatre|cinq|quelques|zwei|drei|vier|funf|wenigen?)"
)
LANGUAGE = (
    r"(?:english|german|french|spanish|italian|dutch|portuguese|chinese|mandarin|japanese|korean|arabic|turkish|polish|russian|finnish"
    r"|swedish|norwegian|danish|icelandic|basque|catalan|galician|welsh|irish|latin|greek|hindi|urdu|thai|swahili|hausa|quechua|ukrainian"
    r"|czech|slovak|hungarian|romanian|hebrew|vietnamese|indonesian|farsi|persian|tamil|bengali|ingles|aleman|frances|espanol|italiano"
    r"|castellano|anglais|allemand|francais|espagnol|italien|deutsche?|englische?n?|franzosische?n?|spanische?n?|polnische?n?|danischen)"
)
